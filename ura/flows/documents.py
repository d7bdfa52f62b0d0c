"""How is a flow document written and read as YAML, and which ones come with Prosa?

PyYAML keeps two habits of YAML 1.1 that bite authors of flows: `on`, `no` and `off` become booleans, and a key written
twice (two choices "1" in one menu) silently loses the first. Here only `true` and `false` are booleans, and a key
written twice is refused with its line.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ura.errors import BadInput, NotFound

Json = Any

LIBRARY = Path(__file__).parent / "library"


class FlowNotFound(NotFound):
    code = "flow-not-found"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [rule for rule in rules if rule[0] not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and not hasattr(node, "merged")):
            if key.value in seen:
                raise BadInput(f"'{key.value}' is written twice in the same block, at line {_line(key)}. Keep one.")
            seen.add(key.value)
        node.merged = True  # type: ignore[attr-defined]  # an anchor's node is built again, with its `<<` already in it
        return super().construct_mapping(node, deep)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


for first in "tf":
    _Loader.yaml_implicit_resolvers.setdefault(first, []).append(
        ("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"))
    )


def load(text: str) -> dict[str, Json]:
    """The document in `text`. Raises BadInput, saying where and what to do."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BadInput(f"This is not YAML, at line {line}: {error.problem}. Mind indentation and quotes.") from error
    except yaml.YAMLError as error:
        raise BadInput(f"This is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise BadInput("A flow document starts with `key:`, `title:`, `start:`, `person:` and `nodes:`.")
    return document


def dump(document: dict[str, Json]) -> str:
    """YAML for a person to read and edit: in the order of the document, accents as they are."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def shipped(key: str) -> dict[str, Json]:
    """The document of a flow that comes with Prosa. Raises FlowNotFound."""
    if key not in shipped_keys():
        raise FlowNotFound(f"No flow '{key}' comes with Prosa. There is: {', '.join(shipped_keys())}.")
    return load((LIBRARY / f"{key}.yaml").read_text(encoding="utf-8"))


def shipped_keys() -> list[str]:
    return sorted(file.stem for file in LIBRARY.glob("*.yaml"))


def name_of(document: Mapping[str, Json]) -> tuple[str, str]:
    """Key and title: what even a draft must have. Raises BadInput."""
    key, title = document.get("key"), document.get("title")
    if not isinstance(key, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", key):
        raise BadInput("The flow needs a `key` of small letters, digits, - and _, such as `provedor`.")
    if not isinstance(title, str) or not title.strip():
        raise BadInput(f"Flow '{key}' needs a `title`.")
    return key, title.strip()[:120]
