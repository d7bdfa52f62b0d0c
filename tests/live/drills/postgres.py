"""A PostgreSQL that can be stopped and started again, and one that follows it and takes its place."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.measure import family
from tests.conftest import INITDB_OPTIONS, _die_with_us, _not_root, _postgres_program, _wait_for, free_port


class Postgres:
    def __init__(self, *, follows: "Postgres | None" = None) -> None:
        """`follows`: it begins as a copy of that one, which runs, and keeps up with it."""
        self.port = free_port()
        self._user = _not_root()
        self._folder = Path(tempfile.mkdtemp(prefix="prosa-drill-"))
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        data = self._folder / "data"
        command = [_postgres_program("initdb"), "-D", data, "-U", "prosa", *INITDB_OPTIONS]
        if follows:
            origin = f"host=127.0.0.1 port={follows.port} user=prosa"
            command = [_postgres_program("pg_basebackup"), "-D", data, "-R", "-X", "stream", "-c", "fast", "-d", origin]
        subprocess.run(command, cwd=self._folder, capture_output=True, check=True, **self._user)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._folder / "log"
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self._folder}
        with log.open("ab") as out:
            self._server = subprocess.Popen(
                [
                    _postgres_program("postgres"),
                    "-D",
                    self._folder / "data",
                    *(f"--{k}={v}" for k, v in options.items()),
                ],
                cwd=self._folder,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_us,
                **self._user,
            )
        _wait_for(self._server, self.port, log)

    def create(self, name: str) -> None:
        self.tell(f"CREATE DATABASE {name}")

    def tell(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(f"postgresql://prosa@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """All its processes, as when the machine goes."""
        assert self._server
        for pid in family(self._server.pid):
            os.kill(pid, signal.SIGKILL)
        self._server.wait(10)
        self._server = None

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(10)
            self._server = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
