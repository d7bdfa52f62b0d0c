"""Pages of the panel: Jinja templates, Portuguese formats, and addresses of static files that change with the file."""

import hashlib
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import phonenumbers
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ura import logs, phones, summaries
from ura.users import Permission

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def asset(name: str) -> str:
    """The address of a static file. The part after `?` changes with the file, so browsers may keep it for ever."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def spoken_seconds(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def phone(number: str, whole: bool) -> str:
    """ "(11) 93333-0002", "(11) •••••-0002", "Número oculto" is the template's word for none."""
    if not number:
        return _WORDS["hidden"]
    try:
        parsed = phonenumbers.parse(number)
        written = phonenumbers.format_number(
            parsed,
            phonenumbers.PhoneNumberFormat.NATIONAL
            if parsed.country_code == 55
            else phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        )
    except phonenumbers.NumberParseException:
        return number if whole else phones.mask(number)
    if whole:
        return written
    seen = sum(character.isdigit() for character in written) - 4
    area = 2 if parsed.country_code == 55 else 0
    return "".join(_hide_digits(written, keep_first=area, hide_until=seen))


def address(text: str, whole: bool) -> str:
    """Where a message went: a number as above, an e-mail address whole or as "m•••@provedor.test"."""
    if "@" not in text:
        return phone(text, whole)
    name, _, domain = text.rpartition("@")
    return text if whole else f"{name[:1]}•••@{domain}"


def typed(text: str, whole: bool) -> str:
    """What somebody wrote, with the numbers and documents in it masked for whoever may not see them."""
    return text if whole else logs.redact(text)


def anchor(name: str) -> str:
    """A name as the end of an address: "shape-Page-of-CallSummary"."""
    return "shape-" + name.replace(" ", "-")


def _hide_digits(text: str, *, keep_first: int, hide_until: int) -> list[str]:
    count, out = 0, []
    for character in text:
        if character.isdigit():
            count += 1
            out.append("•" if keep_first < count <= hide_until else character)
        else:
            out.append(character)
    return out


def protocol(number: str) -> str:
    """In groups of three, as it is spoken."""
    return " ".join(number[i : i + 3] for i in range(0, len(number), 3))


_WORDS = {"hidden": "Número oculto", "today": "hoje", "yesterday": "ontem"}


class Pages:
    """Templates bound to the time zone of the installation."""

    def __init__(self, zone: Any) -> None:
        self._zone = zone
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "panels"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["asset"] = asset
        self._environment.filters.update(
            spoken_seconds=spoken_seconds,
            phone=phone,
            address=address,
            summary=summaries.told,
            typed=typed,
            anchor=anchor,
            protocol=protocol,
            clock=lambda moment: self._local(moment).strftime("%H:%M:%S"),
            hour=lambda moment: self._local(moment).strftime("%H:%M"),
            day=self._day,
            minute=lambda moment: self._local(moment).strftime("%d/%m/%Y %H:%M"),
            moment=lambda moment: self._local(moment).strftime("%d/%m/%Y %H:%M:%S"),
        )

    def text(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        actor = getattr(request.state, "actor", None)
        values = {
            "actor": actor,
            "here": "",
            "now_ms": int(time.time() * 1000),
            "sees_phones": actor is not None and actor.may(Permission.PHONES_SEE),
            "status": status,
            **values,
        }
        return HTMLResponse(self.text(template, **values), status_code=status)

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone)

    def _day(self, moment: datetime) -> str:
        local = self._local(moment).date()
        days = (self._local(datetime.now(UTC)).date() - local).days
        return {0: _WORDS["today"], 1: _WORDS["yesterday"]}.get(days, local.strftime("%d/%m/%Y"))


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    pages: Pages = request.app.state.pages
    return pages.page(request, template, status=status, **values)
