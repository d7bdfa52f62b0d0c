"""The phone door as a process: `python -m agi`.

structlog and httpx draw on terminals with rich, pygments and click where they find them. Here nobody would see it, and
each process of this door would hold 7 MB of them.
"""

import sys

for drawing in ("rich", "pygments", "click"):
    sys.modules[drawing] = None  # type: ignore[assignment]  # as if it were not installed

from agi.main import main  # noqa: E402 - after that

sys.exit(main())
