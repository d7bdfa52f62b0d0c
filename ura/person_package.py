"""All that we have of a person as one file to hand over: data to be read by programs, a page to be read by people, and
what they recorded, in a zip.

    indice.html                    what is in it, and the history in words
    dados/<table>.json             every row of every shelf (ura/shelves.py), as it stands in the database
    gravacoes/<recording id>.wav
"""

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from sqlalchemy.ext.asyncio import AsyncSession

from ura import shelves
from ura.crypto import Keyring, Sealed
from ura.people import Person
from ura.shelves import SHELVES

HERE = Path(__file__).parent
INDEX, DATA, SOUND = "indice.html", "dados", "gravacoes"
BLOCK = 1024 * 1024
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Package:
    """`rows`: table → how many are in it."""

    path: Path
    sha256: str
    size_bytes: int
    rows: dict[str, int]


@cache
def words() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((HERE / "person_package.yaml").read_text())
    return told


async def gather(session: AsyncSession, person: Person, keyring: Keyring) -> Rows:
    """Table → rows. Sealed documents are opened: they are the person's own."""
    found: Rows = {}
    for shelf in SHELVES:
        rows = await shelves.copy(session, shelf, person)
        for row in rows:
            for name, value in row.items():
                if isinstance(value, Sealed):
                    row[name] = keyring.open(value)
        found[shelf.name] = rows
    return found


def write(
    found: Rows, person: Person, *, to: Path, recordings_dir: Path, provider: str, zone: ZoneInfo, now: datetime
) -> Package:
    """Blocks; the file appears when it is whole. A recording whose sound is gone is left out, and the page says so."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = to.with_suffix(".new")
    sounds = {row["id"]: sound for row in found["recording"] if (sound := _sound(recordings_dir, row["path"]))}
    page = _page(found, person, sounds=set(sounds), provider=provider, zone=zone, now=now)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(INDEX, page)
            for table, rows in found.items():
                if rows:
                    zipped.writestr(f"{DATA}/{table}.json", _json(rows))
            for recording_id, path in sorted(sounds.items()):
                zipped.write(path, f"{SOUND}/{recording_id}.wav")
        file.flush()
        os.fsync(file.fileno())
    digest, size = _digest(half)
    half.rename(to)
    return Package(to, digest, size, {table: len(rows) for table, rows in found.items() if rows})


def _sound(folder: Path, name: str) -> Path | None:
    """None: it is gone, or none of ours."""
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder.resolve()) and file.is_file() else None


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def _page(found: Rows, person: Person, *, sounds: set[str], provider: str, zone: ZoneInfo, now: datetime) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["told"] = lambda value: _told(value, zone)
    told = words()
    return environment.get_template("person_package.html").render(
        words=told,
        provider=provider,
        now=now,
        asked=person.masked,
        shared=person.shared,
        tables=[(table, told["tables"].get(table, table), rows) for table, rows in found.items() if rows],
        sounds=sounds,
    )


def _told(value: Any, zone: ZoneInfo) -> str:
    match value:
        case None | "":
            return "–"
        case bool():
            return str(words()["yes" if value else "no"])
        case datetime():
            return value.astimezone(zone).strftime("%d/%m/%Y %H:%M:%S")
        case date():
            return value.strftime("%d/%m/%Y")
        case Decimal():
            return f"{value:.2f}".replace(".", ",")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, indent=1, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
