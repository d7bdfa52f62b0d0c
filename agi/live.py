"""Where is each call in its flow? One small file a call, so that another process can go on with it.

Written at each menu border, atomically, and not fsynced: it must survive our process, not the machine (then the call is
gone too). Read by `/resume` and `/queue-left`, removed when the call has ended.
"""

import json
import os
from pathlib import Path
from typing import Any


class LivePositions:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = str(folder)

    def save(self, uniqueid: str, position: dict[str, Any]) -> None:
        """Best effort: a full disk costs the resumption, never the call."""
        part = f"{self._folder}/.{uniqueid}.{os.getpid()}"
        try:
            with open(part, "w", encoding="utf-8") as file:
                json.dump(position, file, ensure_ascii=False, separators=(",", ":"))
            os.replace(part, f"{self._folder}/{uniqueid}.json")
        except OSError:
            return

    def find(self, uniqueid: str) -> dict[str, Any] | None:
        """None when there is none that can be read."""
        try:
            with open(f"{self._folder}/{uniqueid}.json", encoding="utf-8") as file:
                position = json.load(file)
        except (OSError, ValueError):
            return None
        return position if isinstance(position, dict) else None

    def remove(self, uniqueid: str) -> None:
        try:
            os.unlink(f"{self._folder}/{uniqueid}.json")
        except FileNotFoundError:
            return
