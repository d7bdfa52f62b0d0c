"""Where messages go in development when there is no gateway: a folder. Nothing leaves the house.

<folder>/<message id>/message.json      channel, subject and the attachments' names
<folder>/<message id>/1-fatura.pdf      each attachment
"""

import asyncio
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ura.gateways import Outgoing

NAME = "demo"
TOLD = "message.json"


@dataclass(frozen=True, slots=True)
class KeptFile:
    name: str
    content_type: str
    path: Path


class DemoInbox:
    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: Outgoing) -> str:
        await asyncio.to_thread(self._keep, message)
        return message.id

    def _keep(self, message: Outgoing) -> None:
        place = self._folder / message.id
        place.mkdir(parents=True, exist_ok=True)
        files = []
        for number, each in enumerate(message.attachments, 1):
            kept_as = f"{number}.bin"
            (place / kept_as).write_bytes(each.content)
            files.append({"name": each.name, "content_type": each.content_type, "kept_as": kept_as})
        told = {"subject": message.subject, "template": message.template, "files": files}
        (place / TOLD).write_text(json.dumps(told, ensure_ascii=False))


def forget(folder: Path, message_ids: Iterable[str]) -> None:
    """Delete what came with these messages."""
    for message_id in message_ids:
        shutil.rmtree(folder / message_id, ignore_errors=True)


def subject_and_files(folder: Path, message_id: str) -> tuple[str, list[KeptFile]]:
    """What came with a message; nothing when it never came here."""
    place = folder / message_id
    try:
        told = json.loads((place / TOLD).read_text())
    except FileNotFoundError:
        return "", []
    return told["subject"], [KeptFile(f["name"], f["content_type"], place / f["kept_as"]) for f in told["files"]]
