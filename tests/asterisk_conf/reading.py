"""Reads Asterisk's configuration and dialplan as far as the tests need it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


def sections(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Section → its lines in order. A section that comes again (pjsip: endpoint and aor of one name) is added to."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in lines(file):
        if header := re.match(r"\[([^\]]+)\]", line):
            current = found.setdefault(header[1], [])
        elif "=" in line:
            name, _, value = line.partition("=")
            current.append((name.strip(), value.removeprefix(">").strip()))
    return found


def lines(file: Path) -> Iterator[str]:
    """Lines without comments and blanks, `#include` followed."""
    for raw in file.read_text().splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if included := re.fullmatch(r'#include "(.+)"', line):
            yield from lines(Path(included[1]))
        elif line:
            yield line


class Step(NamedTuple):
    """One priority of the dialplan."""

    context: str
    extension: str
    application: str
    arguments: str


def dialplan(extensions_conf: Path) -> list[Step]:
    steps, context, extension = [], "", ""
    for line in lines(extensions_conf):
        if header := re.fullmatch(r"\[([^\]]+)\]", line):
            context = header[1]
        elif found := re.fullmatch(r"(?:exten|same)\s*=>\s*(.+)", line):
            rest = found[1]
            if line.startswith("exten"):
                extension, rest = rest.split(",", 1)
            _, call = rest.split(",", 1)
            application, _, arguments = call.partition("(")
            steps.append(
                Step(context, extension, application, arguments[:-1] if arguments.endswith(")") else arguments)
            )
    return steps


def includes(extensions_conf: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    context = ""
    for line in lines(extensions_conf):
        if header := re.fullmatch(r"\[([^\]]+)\]", line):
            context = header[1]
        elif line.startswith("include"):
            found.setdefault(context, set()).add(line.partition("=>")[2].strip())
    return found


def goes_to(step: Step) -> set[str]:
    """The other contexts that this step can lead to; a target that is computed is a context nobody knows."""
    if step.application not in {"Goto", "GotoIf", "Gosub", "GosubIf", "GotoIfTime"}:
        return set()
    text = step.arguments
    if step.application.endswith("If"):
        text = text.rpartition("?")[2]
    targets = set()
    for target in text.split(":"):
        parts = re.sub(r"\(.*", "", target).split(",")
        targets.add(parts[0] if len(parts) == 3 else step.context)
    return targets


def reachable(steps: list[Step], included: dict[str, set[str]], queue_contexts: set[str], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = {start}
    while waiting:
        context = waiting.pop()
        seen.add(context)
        following = set(included.get(context, set()))
        for step in steps:
            if step.context == context:
                following |= goes_to(step)
                following |= queue_contexts if step.application == "Queue" else set()
        waiting |= following - seen
    return seen
