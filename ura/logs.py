"""Logs: JSON lines in production, a readable console in development, and no CPF or telephone number in either.

Every door calls `configure` once, at its start. `structlog.get_logger()` and the standard library's loggers (uvicorn,
asyncio, SQLAlchemy) go through the same processors, so that nothing has a way around the redaction.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

# Opaque ids that may look like a telephone number and must stay whole: they are what a log is searched by.
_IDS = frozenset({"uniqueid", "linkedid", "call_id", "ticket_id", "lead_id", "protocol", "file", "pid", "timestamp"})

# Not inside a longer word, number or uniqueid (1732258800.123): those are not telephone numbers.
_EDGE, _END = r"(?<![\w.:/-])", r"(?![\w:/]|[.-]\d)"
_CPF = re.compile(rf"{_EDGE}\d{{3}}\.?(\d{{3}})\.?(\d{{3}})-?(\d{{2}}){_END}")
_CNPJ = re.compile(rf"{_EDGE}\d{{2}}\.?\d{{3}}\.?(\d{{3}})/?(\d{{4}})-?\d{{2}}{_END}")
# +55 (11) 93333-0002, 5511933330002, 11933330002, 1133330001: area code without zeros; nine digits after a 9 (São Paulo
# has mobiles that go on with any digit), or eight after 2 to 9.
_PHONE = re.compile(rf"(?<![\w.:/-])\+?(?:55)?\s?\(?[1-9][1-9]\)?\s?(?:9\d{{4}}|[2-9]\d{{3}})[-\s]?(\d{{4}}){_END}")

# PostgreSQL quotes the row that it refused, names and all: "DETAIL:  Failing row contains (…)". Left out to the end of
# the error, not of the line: a value may have lines of its own.
_DETAIL = re.compile(r"(DETAIL:[ \t]+).*?(?=\n\[SQL|\nCONTEXT:|\nThe above|\nTraceback|\Z)", re.DOTALL)


def redact(text: str) -> str:
    """The text with CPFs, CNPJs and telephone numbers masked; the last digits of a phone stay, to tell two apart. What
    a database quotes of a row is left out."""
    text = _DETAIL.sub(r"\1(left out)", text)
    text = _CNPJ.sub(r"**.***.\1/\2-**", text)
    text = _PHONE.sub(_phone_or_cpf, text)
    return _CPF.sub(_mask_cpf, text)


def _is_cpf(digits: str) -> bool:
    """Do the two check digits fit? An 11-digit mobile number and a bare CPF look the same otherwise."""
    for length in (9, 10):
        total = sum(int(digit) * (length + 1 - i) for i, digit in enumerate(digits[:length]))
        if total * 10 % 11 % 10 != int(digits[length]):
            return False
    return True


def _phone_or_cpf(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return found[0] if len(digits) == 11 and _is_cpf(digits) else f"******{found[1]}"


def _mask_cpf(found: re.Match[str]) -> str:
    punctuated = "." in found[0] or "-" in found[0]
    return f"***.{found[1]}.{found[2]}-**" if punctuated or _is_cpf(found[0]) else found[0]


def _clean(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {key: inner if key in _IDS else _clean(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(inner) for inner in value]
        case _:
            return redact(str(value))


def redaction(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor: masks every value, except the ids that we made ourselves."""
    return {key: value if key in _IDS or key.startswith("_") else _clean(value) for key, value in event.items()}


def configure(*, environment: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library to one stream, redacted. Call once, at the start of a door."""
    out = stream or sys.stderr
    pretty = environment != "production"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # a traceback becomes text here, so that it is redacted too
        redaction,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if pretty else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # uvicorn brings handlers of its own
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every URL it asks, and some have a token in them
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it writes the values of every statement
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # lines are few, and whoever listens later (a test) must hear them
    )
