"""A PostgreSQL of the bench's own, durable as in production, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SOCK_STREAM

import psycopg

from tests.conftest import free_port


@contextmanager
def running() -> Iterator[str]:
    """Yields a database URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    user = pwd.getpwnam("postgres")
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="prosa-bench-"))
    if as_user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    port = free_port(SOCK_STREAM)
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    make = [programs / "initdb", "-D", folder / "data", "-U", "prosa", "-A", "trust", "-E", "UTF8"]
    subprocess.run(make, check=True, **quiet, **as_user)
    start = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
    server = subprocess.Popen(start, **quiet, **as_user)
    try:
        for _ in range(200):
            try:
                with psycopg.connect(f"postgresql://prosa@127.0.0.1:{port}/postgres", autocommit=True) as connection:
                    connection.execute("CREATE DATABASE prosa")
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield f"postgresql+psycopg://prosa@127.0.0.1:{port}/prosa"
    finally:
        server.send_signal(signal.SIGINT)  # fast: who is still connected after a mistake is not waited for
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
