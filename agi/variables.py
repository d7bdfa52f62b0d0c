"""What Asterisk tells us about a call, and what we tell the dialplan at its end. Neither side is trusted with text.

In: the AGI environment, one `key: value` a line. The caller can influence some values, so the parser is strict: the
first value of a key counts, and a key that is unknown, repeated or missing makes the caller an unknown number. The call
goes on.
Out: `URA_*` channel variables in one MSet, `URA_RESULT` last. The dialplan takes its absence as our failure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

# res_agi.c 22, setup_env and launch_netscript: all that Asterisk sends, in its order.
EXPECTED = (
    "agi_request",
    "agi_channel",
    "agi_language",
    "agi_type",
    "agi_uniqueid",
    "agi_version",
    "agi_callerid",
    "agi_calleridname",
    "agi_callingpres",
    "agi_callingani2",
    "agi_callington",
    "agi_callingtns",
    "agi_dnid",
    "agi_rdnis",
    "agi_context",
    "agi_extension",
    "agi_priority",
    "agi_enhanced",
    "agi_accountcode",
    "agi_threadid",
)
_OPTIONAL = {"agi_network", "agi_network_script"}
_KNOWN = _OPTIONAL | set(EXPECTED)
_ARGUMENT = re.compile(r"agi_arg_\d{1,2}")
_UNIQUEID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGITS = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
_OPAQUE = re.compile(r"[A-Za-z0-9_.-]*")
_MAX_VALUE = 512


@dataclass(frozen=True, slots=True)
class CallStart:
    """One AGI request. `caller` is "" when it is unknown or the environment was not clean."""

    route: str
    query: Mapping[str, str]
    uniqueid: str
    caller: str = field(repr=False)  # reprs end in tracebacks, and those in logs
    did: str
    oddities: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse_environment(lines: Iterable[bytes]) -> CallStart:
    """Total: any bytes give a CallStart. `oddities` says what was wrong, without the values."""
    env: dict[str, str] = {}
    oddities: list[str] = []
    for raw in lines:
        key, colon, value = raw.decode("utf-8", errors="replace").strip("\r\n").partition(":")
        if not colon or not (key in _KNOWN or _ARGUMENT.fullmatch(key)):
            oddities.append("unknown key")
        elif key in env:
            oddities.append(f"{key} repeated")
        else:
            env[key] = value.strip()[:_MAX_VALUE]
    oddities += [f"{key} missing" for key in EXPECTED if key not in env]
    return _call_start(env, tuple(dict.fromkeys(oddities)))


def _call_start(env: dict[str, str], oddities: tuple[str, ...]) -> CallStart:
    path, _, query = env.get("agi_network_script", "").partition("?")
    uniqueid = env.get("agi_uniqueid", "")
    caller = "" if oddities else _known(env.get("agi_callerid", ""))
    return CallStart(
        route=path.strip("/")[:64],
        query=dict(parse_qsl(query, keep_blank_values=True, errors="replace")),
        uniqueid=uniqueid if _UNIQUEID.fullmatch(uniqueid) else "",
        caller=caller,
        did=_did(env),
        oddities=oddities,
        environment=env,
    )


def _known(value: str) -> str:
    return "" if value.lower() == "unknown" else value


def _did(env: dict[str, str]) -> str:
    """What the dialplan passes (dialplan/flow.conf), else the extension; digits only."""
    given = env.get("agi_arg_1") or env.get("agi_extension", "")
    return given if _DIGITS.fullmatch(given) else ""


def encode_result(result: str, values: Mapping[str, str]) -> str:
    """The options of the one MSet that ends a call. Raises ValueError unless every value is an opaque id:
    EXEC substitutes variables in its arguments, so nothing that a person typed may get here."""
    pairs = [*((name, value) for name, value in values.items() if value), ("URA_RESULT", result)]
    for name, value in pairs:
        if not _OPAQUE.fullmatch(value):
            raise ValueError(f"{name} is not an opaque id")
    return ",".join(f"{name}={value}" for name, value in pairs)
