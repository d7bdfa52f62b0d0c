"""What was taken from others is what the manifest says, and nothing else is there."""

import hashlib
import json
import re

from api.pages import HERE, STATIC

VENDOR = STATIC / "vendor"


def test_vendored_files_are_those_of_the_manifest() -> None:
    listed = json.loads((VENDOR / "manifest.json").read_text())["files"]
    there = {file.name for file in VENDOR.iterdir()} - {"manifest.json", "LICENSES.md"}
    assert there == {each["file"] for each in listed}
    for each in listed:
        assert hashlib.sha256((VENDOR / each["file"]).read_bytes()).hexdigest() == each["sha256"]
        assert all(each[name] for name in ("package", "version", "path", "license"))


def test_pages_fetch_nothing_from_elsewhere_and_hold_no_script() -> None:
    for template in (HERE / "panels").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"(?:src|href|action)=.https?:|(?:src|href)=.//", text), template.name
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|\|\s*safe\b", text), template.name


def test_our_scripts_never_make_markup_from_text() -> None:
    for script in STATIC.glob("*.js"):
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b", script.read_text()), script.name


def test_every_icon_that_is_used_is_there() -> None:
    there = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    used = {
        name for page in (HERE / "panels").glob("*.html") for name in re.findall(r'icon\("([^"]+)"\)', page.read_text())
    }
    assert used == there
