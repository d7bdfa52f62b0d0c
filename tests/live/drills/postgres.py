"""A PostgreSQL that can be stopped and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.conftest import INITDB_OPTIONS, _die_with_us, _not_root, _postgres_program, _wait_for, free_port


class Postgres:
    def __init__(self) -> None:
        self.port = free_port()
        self._user = _not_root()
        self._folder = Path(tempfile.mkdtemp(prefix="prosa-drill-"))
        if self._user:
            os.chown(self._folder, self._user["user"], self._user["group"])
        program, data = _postgres_program("initdb"), self._folder / "data"
        command = [program, "-D", data, "-U", "prosa", *INITDB_OPTIONS]
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
        with psycopg.connect(f"postgresql://prosa@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(10)
            self._server = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
