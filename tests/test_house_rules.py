"""Rules of the house that no linter knows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from ura.settings import ROOT, Settings

SOURCES = [
    path for folder in ("agi", "api", "prosa", "ura", "worker") for path in sorted((ROOT / folder).rglob("*.py"))
]
PORTUGUESE = re.compile(r"[áàâãéêíóôõúç]", re.IGNORECASE)


# What is broken beyond a workaround (tests/contracts: pyst2 15 to 19, panoramisk 1 to 10, 21 and 22).
NEVER_IMPORTED = {
    "asterisk": {"manager", "config", "fastagi", "agitb"},
    "panoramisk": {"fast_agi", "call_manager", "testing", "CallManager"},
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_only_settings_read_the_environment() -> None:
    readers = [
        _name(path)
        for path in SOURCES
        if re.search(r"\bos\.(environ|getenv)\b|from os import .*environ", path.read_text())
        and path != ROOT / "agi" / "rescue.py"  # standard library only, and runs where there are no settings
    ]
    assert readers in ([], ["ura/settings.py"])


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_what_people_hear_or_read_is_not_in_python(path: Path) -> None:
    """Spoken and shown text is data (catalogue, flow, templates): no sentence in Portuguese in a string."""
    sentences = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and PORTUGUESE.search(node.value)
        and len(node.value.split()) > 3
        and not _is_docstring(path, node.value)
    ]
    assert sentences == []


def _is_docstring(path: Path, text: str) -> bool:
    tree = ast.parse(path.read_text())
    return any(
        ast.get_docstring(node, clean=False) == text
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _imported(source: str) -> set[str]:
    """`a`, `a.b`: every module or name that this imports, also by a text given to import_module or __import__."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names, level=0):
                found |= {module, *(f"{module}.{alias.name}" for alias in names)}
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ) if called in ("import_module", "__import__"):
                found.add(name)
    return found


def _broken(source: str) -> set[str]:
    """The imports that must not be."""
    return {
        name
        for name in _imported(source)
        if (parts := name.split("."))[0] in NEVER_IMPORTED and set(parts[1:2]) & NEVER_IMPORTED[parts[0]]
    }


def test_the_broken_modules_of_pyst2_and_panoramisk_are_imported_nowhere() -> None:
    assert {_name(path): found for path in SOURCES if (found := _broken(path.read_text()))} == {}
    assert {name for path in SOURCES for name in _imported(path.read_text())} >= {
        "asterisk.agi.AGI",
        "panoramisk.Manager",
    }


@pytest.mark.parametrize(
    "line",
    [
        *("import asterisk.manager", "from asterisk import config", "from asterisk.fastagi import FastAGI"),
        *("import asterisk.agitb as x", "from panoramisk import CallManager", "from panoramisk.testing import Manager"),
        *("from panoramisk import fast_agi", "importlib.import_module('panoramisk.call_manager')"),
        "def f():\n    __import__('asterisk.manager')",
    ],
)
def test_an_import_of_a_broken_module_would_be_found(line: str) -> None:
    assert len(_broken(line)) >= 1


def test_every_setting_is_in_the_operations_page_and_the_other_way_round() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    written = set(re.findall(r"^\| `(PROSA_[A-Z_]+)`", text, re.MULTILINE))
    assert written == {f"PROSA_{name.upper()}" for name in Settings.model_fields}


def test_no_path_of_a_machine_is_written_down() -> None:
    suspects = re.compile(r"(?<![\w}])/(?:root|work|home)/\w")  # not /proc/1/root/…
    places = [
        _name(path)
        for path in [*SOURCES, *ROOT.glob("*.*"), *(ROOT / "scripts").rglob("*"), *(ROOT / "docs").rglob("*.md")]
        if path.is_file()
        and path.suffix in {".py", ".toml", ".md", ".sh", ".yml", ".yaml"}
        and suspects.search(path.read_text())
    ]
    assert places == []


def test_every_package_is_listed_for_installation() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in SOURCES if path.name == "__init__.py"}
    assert sorted(listed) == sorted(".".join(folder.relative_to(ROOT).parts) for folder in folders)
