"""What Asterisk is told: its configuration, rendered from the settings, and the folders it plays from and writes to."""

import json
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from secrets import token_urlsafe

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ura.errors import BadInput
from ura.prompts import MANIFEST, read_manifest, sound
from ura.settings import ROOT, Settings

log = structlog.get_logger("prosa.asterisk")

TEMPLATES = ROOT / "asterisk_conf"
PROMPTS = ROOT / "prompts/audio"
QUEUES = ("l1", "vendas", "suporte", "financeiro", "retencao", "corporativo")
OWN_PROMPTS = {"system", "queue", "rescue"}  # said by the dialplan, by app_queue, by agi/rescue.py
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
# What Asterisk's number-saying (say.c 22, ast_say_number_full_pt) asks for → our piece.
SAID_NUMBERS = {
    **{str(n): f"number.{n}" for n in [*range(21), *range(30, 100, 10)]},
    "100": "number.100",
    "100E": "hundred.and.100",
    **{str(n): f"hundred.{n}" for n in range(200, 1000, 100)},
    "1000": "thousand",
    "1F": "number.f.1",
    "2F": "number.f.2",
    "pt-e": "and",
}


class AsteriskError(RuntimeError):
    """Asterisk is not there, did not start or did not answer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Did:
    """A number of ours, E.164 without the plus. `kind`: landline, mobile or corporate."""

    number: str
    kind: str

    @property
    def forms(self) -> list[str]:
        """How carriers send it: with and without plus, country code, trunk prefix."""
        national = self.number.removeprefix("55")
        return list(dict.fromkeys([self.number, f"+{self.number}", national, f"0{national}"]))


@dataclass(frozen=True, slots=True)
class Attendant:
    """A phone of ours. Its SIP name is `login`; in queues (and AMI's MemberName) it is the extension."""

    extension: str
    queues: tuple[str, ...]
    secret: str = ""

    @property
    def login(self) -> str:
        return f"ramal-{self.extension}"


DEMO_DIDS = (Did("551133330001", "landline"), Did("5511933330002", "mobile"), Did("551133330003", "corporate"))
DEMO_ATTENDANTS = (Attendant("101", QUEUES[:-1]), Attendant("201", ("corporativo",)))


def home_dir(settings: Settings) -> Path:
    """Everything of Asterisk's own: etc, log (with cdr-csv), lib (its small database), spool, moh, sounds."""
    return settings.state_dir.resolve() / "asterisk"


def attendant_secret(settings: Settings, extension: str) -> str:
    """The SIP password of a phone; made at first use and kept under `secrets/`."""
    file = settings.state_dir / "secrets" / f"attendant-{extension}"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(token_urlsafe(32))
    return file.read_text()


def render(
    settings: Settings,
    folder: Path | None = None,
    *,
    home: Path = Path("/"),
    dids: Sequence[Did] = DEMO_DIDS,
    attendants: Sequence[Attendant] = DEMO_ATTENDANTS,
    isolated: bool = False,
) -> Path:
    """Fill the templates into `folder` (default `<state>/asterisk/etc`) and return it.

    `home`: what `find` said. Raises AsteriskError for a value that no configuration file can hold.
    """
    own = home_dir(settings)
    etc = folder or own / "etc"
    with_secrets = [_with_secret(settings, attendant) for attendant in attendants]
    values = {
        "settings": settings,
        "home": own,
        "etc": etc,
        "state_dir": settings.state_dir.resolve(),
        "modules_dir": _modules_dir(home),
        "run_dir": "/run/asterisk" if isolated else own / "run",
        "media_address": "" if settings.sip_host in ANY_ADDRESS else settings.sip_host,
        "ami_secret": settings.secret("ami_secret"),
        "ami_permit": settings.ami_host if settings.ami_host not in ANY_ADDRESS else "127.0.0.1",
        "dids": _unambiguous(dids),
        "attendants": with_secrets,
        "queues": list(dict.fromkeys([*QUEUES, *(queue for each in attendants for queue in each.queues)])),
    }
    jinja = Environment(  # noqa: S701 - configuration, not HTML: what must not get through is refused in _plain
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, finalize=_plain
    )
    etc.mkdir(parents=True, exist_ok=True)
    for name in jinja.list_templates(extensions=["conf"]):
        _write(etc / name, jinja.get_template(name).render(values) + "\n")
    _only_existing_modules(etc / "modules.conf", _host_path(home, str(values["modules_dir"])))
    (etc / "dialplan").mkdir(exist_ok=True)
    for source in sorted((ROOT / "dialplan").glob("*.conf")):
        _write(etc / "dialplan" / source.name, source.read_text())
    _write(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {socket.gethostname()}\n::1 localhost ip6-localhost\n")
    _write(etc / "resolv.conf", "# No names are looked up: a telephone service is needed when the Internet is down.\n")
    return etc


def remember(settings: Settings, dids: Sequence[Did], attendants: Sequence[Attendant]) -> None:
    """Keep what the database said, for a start while it is away (`remembered`)."""
    known = {
        "dids": [[did.number, did.kind] for did in dids],
        "attendants": [[each.extension, list(each.queues)] for each in attendants],
    }
    _write(home_dir(settings) / "numbers.json", json.dumps(known))


def remembered(settings: Settings) -> tuple[Sequence[Did], Sequence[Attendant]]:
    """The numbers and phones of the last start; the demo's when there was none."""
    try:
        known = json.loads((home_dir(settings) / "numbers.json").read_text())
        dids = [Did(number, kind) for number, kind in known["dids"]]
        return dids, [Attendant(extension, tuple(queues)) for extension, queues in known["attendants"]]
    except (OSError, ValueError, LookupError, TypeError):
        return DEMO_DIDS, DEMO_ATTENDANTS


def _with_secret(settings: Settings, attendant: Attendant) -> Attendant:
    secret = attendant.secret or attendant_secret(settings, attendant.extension)
    return Attendant(attendant.extension, attendant.queues, secret)


def _unambiguous(dids: Sequence[Did]) -> list[dict[str, object]]:
    """Each DID with the forms that are its alone."""
    taken: set[str] = set()
    rows: list[dict[str, object]] = []
    for did in dids:
        if not re.fullmatch(r"\d{2,15}", did.number):
            raise AsteriskError(f"{did.number!r} is no telephone number: write 2 to 15 digits, country code first.")
        forms = [form for form in did.forms if form not in taken]
        taken.update(forms)
        rows.append({"number": did.number, "kind": did.kind, "forms": forms})
    return rows


def _plain(value: object) -> str:
    """A value as Asterisk's configuration reader will read it back; one that would start a new line is refused."""
    text = str(value)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise AsteriskError(f"{text!r} cannot be written into Asterisk's configuration: it has a control character.")
    return text.replace(";", r"\;")


def _write(file: Path, text: str) -> None:
    """Whole or not at all; for its owner's group only, since some of these hold secrets."""
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w") as out:
        out.write(text)
    new.rename(file)


def _host_path(home: Path, inside: str) -> Path:
    return home / inside.lstrip("/")


def _modules_dir(home: Path) -> str:
    """Debian's folder, or the one of a build from source."""
    for found in [*sorted(home.glob("usr/lib/*/asterisk/modules")), home / "usr/lib/asterisk/modules"]:
        if found.is_dir():
            return "/" + str(found.relative_to(home))
    return "/usr/lib/asterisk/modules"


def _only_existing_modules(file: Path, modules: Path) -> None:
    """Asterisk 20 and 22 are cut into different modules; a line for one that is not there would be an error at boot."""
    if not modules.is_dir():
        return
    lines = file.read_text().splitlines(keepends=True)
    _write(file, "".join(ln for ln in lines if " => " not in ln or (modules / ln.split()[-1]).exists()))


# --- what it plays and runs


def furnish(settings: Settings, home: Path) -> list[Path]:
    """Make the folders and links that Asterisk uses; the folders it writes to are returned."""
    own = home_dir(settings)
    writable = [own / name for name in ("lib", "log", "spool", "run")]
    writable += [settings.recordings_dir.resolve(), settings.journal_dir.resolve()]
    for folder in [
        *writable,
        own / "log/cdr-csv",
        own / "held",
        own / "agi",
        settings.live_dir,
        settings.rendered_dir,
        PROMPTS,
    ]:
        folder.mkdir(parents=True, exist_ok=True)
    sounds = own / "data/sounds"
    (sounds / "pt_BR/digits").mkdir(parents=True, exist_ok=True)
    for base in (sounds, sounds / "pt_BR"):
        _link(base / "prosa", PROMPTS)
        _link(base / "dyn", settings.rendered_dir.resolve())
    for name, key in SAID_NUMBERS.items():
        for suffix in ("alaw", "g722"):
            piece = PROMPTS / f"{key.replace('.', '/')}.{suffix}"
            if piece.exists():
                _link(sounds / "pt_BR/digits" / f"{name}.{suffix}", piece)
    _copy_own_prompts(sounds)
    # The texts of its own functions and options: a build with XML documentation does not start without them.
    shipped = ("/usr/share/asterisk/documentation", "/var/lib/asterisk/documentation")
    _link(
        own / "data/documentation",
        Path(next((each for each in shipped if _host_path(home, each).is_dir()), shipped[0])),
    )
    _link(own / "moh", TEMPLATES / "moh")
    _write_rescue(settings, own / "agi")
    return writable


def _copy_own_prompts(sounds: Path) -> None:
    """`own/…`: what Asterisk says without our server. It plays an empty file as a sentence that has been said and any
    bytes as sound, so it gets copies of those that are whole: whatever happens to the others, now or while it runs. One
    that is not there it notices, and dialplan/say.conf says another.
    """
    try:
        clips = read_manifest(PROMPTS.parent / MANIFEST)
    except BadInput as error:  # nobody knows what is whole: those of the last start are
        log.error("prompt_manifest_damaged", error=error.message)
        return
    for key, clip in clips.items():
        if key.partition(".")[0] not in OWN_PROMPTS:
            continue
        copy = sounds / "own" / f"{sound(key)}.alaw"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        if fault := clip.fault(PROMPTS, key, formats=("alaw",)):
            log.error("prompt_damaged", key=key, fault=fault, remedy="prosa prompts build, then start Asterisk again")
        else:
            shutil.copyfile(PROMPTS / f"{sound(key)}.alaw", copy)
    _link(sounds / "pt_BR/own", sounds / "own")


def _link(link: Path, target: Path) -> None:
    """Point `link` at `target`, in one step if it pointed elsewhere."""
    if link.is_symlink() and link.readlink() == target:
        return
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.symlink_to(target)
    new.rename(link)


def _write_rescue(settings: Settings, folder: Path) -> None:
    """`agi/rescue`: a classic AGI that runs agi/rescue.py on the system's own Python, with pyst2 beside it.

    A copy of pyst2, because Asterisk runs where our virtual environment may not be seen. -S -E: faster, and nothing
    from outside gets in.
    """
    library = folder / "lib"
    for name in ("asterisk", "six"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise AsteriskError(f"the package {name} is missing; install requirements/base.txt")
        origin = Path(spec.origin)
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, library / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            library.mkdir(exist_ok=True)
            shutil.copy(origin, library / origin.name)
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    script, state = ROOT / "agi/rescue.py", shlex.quote(str(settings.state_dir.resolve()))
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(library)!r}); runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    rescue = folder / "rescue"
    _write(rescue, f'#!/bin/sh\nexec {python} -SEc {shlex.quote(start)} {state} "$@"\n')
    rescue.chmod(0o755)
