"""texts.yaml: what the simulated systems write."""

from pathlib import Path
from typing import Any

import yaml

TEXTS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
