"""R47: schemathesis asks the whole API, as three roles, over HTTP. `make fuzz`, or

    python -m tests.fuzz --cases 10000 [--seed 1]

It makes requests out of openapi.json, right ones and wrong ones, and chains of them, and looks at every answer. Exit 1
when one was not as openapi.json says, or a role got what it may not. What is asked is a house of its own with the demo
provider, on loopback, gone afterwards.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.deps import Requires
from api.main import build
from prosa import setup
from tests.api.test_permissions import routes, rules
from tests.conftest import free_port
from ura.models import Role
from ura.settings import ROOT, Settings
from ura.users import GRANTS

SCHEMATHESIS = ROOT / ".venv/fuzz/bin/schemathesis"
CONFIG = Path(__file__).with_suffix(".toml")
ROLES = (Role.ADMIN, Role.ATTENDANT, Role.NETWORK)
# A stream has no end to wait for; tests/api/test_events.py reads it.
LEFT_OUT = ("/api/v1/events",)
# That whatever fits the schema be taken. Rules between fields, ETags and keys that were sent before are in no schema.
NOT_CHECKED = ("positive_data_acceptance",)
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Watched:
    """The application, and what it answered to whom."""

    def __init__(self, app: FastAPI, role_of: dict[str, Role]) -> None:
        self.answers: Counter[tuple[Role, str, int]] = Counter()  # method and route, status
        self.not_theirs: Counter[tuple[Role, str, int]] = Counter()  # a role was served what it may not have
        self._app = app
        self._role_of = {f"Bearer {token}".encode(): role for token, role in role_of.items()}
        self._permission = {
            route.endpoint: rule.permission
            for route in routes(app)
            for rule in rules(route.dependant)
            if isinstance(rule, Requires)
        }

    def broken(self) -> Counter[tuple[Role, str, int]]:
        return Counter({what: count for what, count in self.answers.items() if what[2] >= 500})

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        status = 0

        async def note(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self._app(scope, receive, note)
        role = self._role_of.get(dict(scope.get("headers", ())).get(b"authorization", b""))
        if role is None:  # the life of the application, and what was asked with no token or a wrong one
            return
        endpoint = scope.get("endpoint")
        what = (role, f"{scope['method']} {getattr(endpoint, '__name__', '?')}", status)
        self.answers[what] += 1
        wanted = self._permission.get(endpoint)
        if wanted and wanted not in GRANTS[role] and status < 400:
            self.not_theirs[what] += 1


@contextmanager
def house() -> Iterator[tuple[Watched, str, dict[Role, str]]]:
    """The API of a demo provider, its address, and a token for each role."""
    with tempfile.TemporaryDirectory(prefix="prosa-fuzz-") as folder:
        settings = Settings(
            state_dir=Path(folder), http_port=free_port(), api_requests_per_minute=0, source_requests_per_minute=0
        )
        asyncio.run(setup.prepare(settings, _quiet))
        tokens = {}
        for role in ROLES:
            tokens[role] = asyncio.run(setup.create_token(settings, name=role, scopes=list(GRANTS[role]), days=1))
        app = Watched(build(settings), {token: role for role, token in tokens.items()})
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=settings.http_port, log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield app, f"http://127.0.0.1:{settings.http_port}", tokens
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _quiet(what: str) -> Iterator[list[str]]:
    yield []


def ask(address: str, token: str, *, each: int, seed: int, phases: str) -> subprocess.CompletedProcess[str]:
    """One run of schemathesis; `each`: cases for each operation."""
    options = [f"--max-examples={each}", f"--seed={seed}", f"--phases={phases}", "--continue-on-failure"]
    options += [f"--exclude-path={path}" for path in LEFT_OUT] + [f"--exclude-checks={','.join(NOT_CHECKED)}"]
    options += ["--no-color", "--request-timeout=20", "--wait-for-schema=20"]
    command = [SCHEMATHESIS, "--config-file", CONFIG, "run", f"{address}/api/v1/openapi.json", *options]
    command += ["-H", f"Authorization: Bearer {token}"]
    with tempfile.TemporaryDirectory(prefix="prosa-fuzz-") as folder:  # it keeps what failed where it is started
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=10_000, help="at least so many, of all roles together")
    parser.add_argument("--each", type=int, default=20, help="for each operation, in one run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    given = parser.parse_args()
    failed = False
    with house() as (app, address, tokens):
        seed = given.seed
        while app.answers.total() < given.cases:
            for role in ROLES:
                before = app.answers.total()
                ran = ask(address, tokens[role], each=given.each, seed=seed, phases=given.phases)
                print(f"{role}, seed {seed}: {app.answers.total() - before} cases", flush=True)
                if ran.returncode:
                    failed = True
                    print(ran.stdout.replace(tokens[role], "TOKEN"), ran.stderr, flush=True)
            seed += 1
    for title, found in (("5xx", app.broken()), ("not theirs", app.not_theirs)):
        for (role, route, status), count in sorted(found.items()):
            print(f"{title}: {role} {route} {status}, {count} times")
    print(f"{app.answers.total()} cases, {app.broken().total()} 5xx, {app.not_theirs.total()} for the wrong role")
    return int(failed or bool(app.broken()) or bool(app.not_theirs))


if __name__ == "__main__":
    sys.exit(main())
