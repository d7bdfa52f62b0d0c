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
