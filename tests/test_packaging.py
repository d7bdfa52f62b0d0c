"""What a wheel takes along: every file of a package that is not Python must be named in pyproject.toml."""

import subprocess
import tomllib
from pathlib import Path

from ura.settings import ROOT

SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGES: list[str] = SETUP["packages"]
DATA: dict[str, list[str]] = SETUP["package-data"]


def tracked() -> list[Path]:
    """Files in git or about to be: what lies about besides is no part of the product."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in said.splitlines() if (ROOT / line).is_file()]


def home(file: Path) -> str | None:
    """The innermost package whose folder holds this file."""
    names = [".".join(folder.relative_to(ROOT).parts) for folder in file.parents if folder.is_relative_to(ROOT)]
    return next((name for name in names if name in PACKAGES), None)


def test_templates_texts_and_static_files_are_packaged() -> None:
    packaged = {
        file
        for package, patterns in DATA.items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    ours = {file for file in tracked() if file.suffix != ".py" and home(file)}
    assert ROOT / "api/panels/base.html" in ours
    assert {str(file.relative_to(ROOT)) for file in ours - packaged} == set()
