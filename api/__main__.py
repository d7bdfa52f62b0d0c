"""The browser door as a process: `python -m api`."""

from api.main import main

main()
