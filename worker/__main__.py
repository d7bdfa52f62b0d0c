"""The clock door as a process: `python -m worker`."""

from worker.main import main

main()
