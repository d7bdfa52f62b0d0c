"""Which names could a call not speak, since nobody has rendered them? Streets, as a rule: they come from the provider's
own system while somebody rings. The worker has them rendered, and the next caller hears them."""

import json
import os
from pathlib import Path

import structlog

from ura import prompts

log = structlog.get_logger(__name__)

FOLDER = "wanted"
MOST = 500  # a thousand streets at once are a system that sends us nonsense


class WantedNames:
    """One a process. A file a name under `rendered`: several processes may want the same at once."""

    def __init__(self, rendered: Path) -> None:
        self._folder = rendered / FOLDER
        self._wanted: set[str] = set()

    def __call__(self, text: str) -> None:
        key = prompts.name_key(text)
        if key in self._wanted:
            return
        if len(self._wanted) >= MOST:
            if _count(self._folder) >= MOST:
                return  # nobody renders them, or somebody sends nonsense
            self._wanted.clear()  # the worker took them: there is room again
        self._wanted.add(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f".{key}.{os.getpid()}"
            part.write_text(json.dumps(prompts.clean_name(text)), encoding="utf-8")
            part.replace(self._folder / key)
        except OSError as error:
            log.warning("a name cannot be asked for; callers go on hearing another one", reason=error.strerror)


def is_any(rendered: Path) -> bool:
    folder = rendered / FOLDER
    return folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir())


def _count(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


def take(rendered: Path) -> dict[str, str]:
    """Prompt key → name, and nobody else gets them. Whoever takes them keeps them, or they are wanted no more."""
    found: dict[str, str] = {}
    for file in sorted((rendered / FOLDER).glob("name.*"))[:MOST]:
        try:
            text = json.loads(file.read_text(encoding="utf-8"))
            file.unlink()
        except (OSError, ValueError):
            continue
        if isinstance(text, str) and prompts.clean_name(text) and prompts.name_key(text) == file.name:
            found[file.name] = prompts.clean_name(text)
    return found
