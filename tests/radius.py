"""A real FreeRADIUS, which keeps its accounting in a real PostgreSQL or MariaDB, and a NAS that talks to it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pymysql
from pyrad.client import Client
from pyrad.dictionary import Dictionary
from pyrad.packet import AccountingResponse

from tests.conftest import _die_with_us, _not_root, free_port
from ura.adapters.radius import DICTIONARY

SECRET = "segredo-do-nas"
SHIPPED = Path("/etc/freeradius/3.0")
GONE = "sessao-que-ja-acabou"
STUBBORN = "sessao-que-nao-acaba"
CONFIG = """
name = freeradius
prefix = /usr
libdir = /usr/lib/freeradius
modconfdir = {shipped}/mods-config
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
max_request_time = 5
cleanup_delay = 1
log {{
    destination = stdout
}}
security {{
    max_attributes = 200
    reject_delay = 0
    status_server = no
}}
client nas {{
    ipaddr = 127.0.0.1
    secret = {secret}
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
}}
modules {{
    always ok {{
        rcode = ok
    }}
    always reject {{
        rcode = reject
    }}
    expr {{
        safe_characters = "@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_: /"
    }}
    sql {{
        dialect = "{dialect}"
        driver = "rlm_sql_${{dialect}}"
        server = "127.0.0.1"
        port = {port}
        login = "{user}"
        password = ""
        radius_db = "{database}"
        acct_table1 = "radacct"
        acct_table2 = "radacct"
        postauth_table = "radpostauth"
        authcheck_table = "radcheck"
        groupcheck_table = "radgroupcheck"
        authreply_table = "radreply"
        groupreply_table = "radgroupreply"
        usergroup_table = "radusergroup"
        client_table = "nas"
        group_attribute = "SQL-Group"
        pool {{
            start = 1
            min = 1
            max = 2
            spare = 1
        }}
        $INCLUDE {shipped}/mods-config/sql/main/{dialect}/queries.conf
    }}
}}
instantiate {{
    expr
}}
server default {{
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = {acct_port}
    }}
    listen {{
        type = coa
        ipaddr = 127.0.0.1
        port = {coa_port}
    }}
    preacct {{
        update request {{
            &Acct-Unique-Session-Id := "%{{md5:%{{User-Name}},%{{Acct-Session-Id}},%{{NAS-IP-Address}}}}"
        }}
    }}
    accounting {{
        sql
    }}
    recv-coa {{
        if (&Acct-Session-Id == "{gone}") {{
            update reply {{
                Error-Cause := Session-Context-Not-Found
            }}
            reject
        }}
        elsif (&Acct-Session-Id == "{stubborn}") {{
            update reply {{
                Error-Cause := Administratively-Prohibited
            }}
            reject
        }}
        else {{
            ok
        }}
    }}
}}
"""


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: run scripts/bootstrap.sh test"
    return found


@contextmanager
def mariadb() -> Iterator[int]:
    """A private MariaDB without durability; yields its port. User root, no password, database radius."""
    folder = Path(tempfile.mkdtemp(prefix="prosa-mariadb-"))
    port = free_port()
    run, user = ["--no-defaults", f"--datadir={folder}/data"], _not_root()
    if user:
        os.chown(folder, user["user"], user["group"])
    try:
        made = subprocess.run(
            [_program("mariadb-install-db"), *run, "--auth-root-authentication-method=normal", "--skip-test-db"],
            capture_output=True,
            text=True,
            check=False,
            **user,
        )
        assert made.returncode == 0, made.stderr + made.stdout
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    _program("mariadbd"),
                    *run,
                    "--bind-address=127.0.0.1",
                    f"--port={port}",
                    f"--socket={folder}/socket",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-buffer-pool-size=16M",
                    "--skip-log-bin",
                ],
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_us,
                **user,
            )
        try:
            connection = _mariadb_ready(server, port, folder / "log")
            with connection, connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE radius")
            yield port
        finally:
            server.kill()
            server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mariadb_ready(
    server: "subprocess.Popen[bytes]", port: int, log: Path
) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    deadline = time.monotonic() + 30
    while True:
        try:
            return pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
        except pymysql.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def load_schema(dialect: str, port: int, user: str, database: str) -> None:
    """FreeRADIUS's own tables."""
    schema = (SHIPPED / f"mods-config/sql/main/{dialect}/schema.sql").read_text()
    if dialect == "postgresql":
        with psycopg.connect(f"postgresql://{user}@127.0.0.1:{port}/{database}", autocommit=True) as connection:
            connection.execute(schema.encode())
        return
    statements = "\n".join(line for line in schema.splitlines() if not line.startswith("#")).split(";")
    connected = pymysql.connect(host="127.0.0.1", port=port, user=user, database=database, autocommit=True)
    with connected, connected.cursor() as cursor:
        for statement in statements:
            if statement.strip():
                cursor.execute(statement)


class Nas:
    """Tells of sessions as a BRAS or a concentrator does. `at`: when it happened, seconds since 1970."""

    def __init__(self, acct_port: int, coa_port: int, folder: Path) -> None:
        self.coa_port = coa_port
        file = folder / "nas.dictionary"
        more = "ATTRIBUTE\tAcct-Status-Type\t40\tinteger\nVALUE\tAcct-Status-Type\tStart\t1\n"
        more += "VALUE\tAcct-Status-Type\tStop\t2\nVALUE\tAcct-Status-Type\tInterim-Update\t3\n"
        more += "ATTRIBUTE\tAcct-Session-Time\t46\tinteger\n"
        file.write_text(DICTIONARY.read_text() + more)
        self._client = Client("127.0.0.1", acctport=acct_port, secret=SECRET.encode(), dict=Dictionary(str(file)))
        self._client.retries, self._client.timeout = 50, 0.2

    def tell(self, status: str, login: str, session: str, at: float) -> None:
        request = self._client.CreateAcctPacket()
        request["Acct-Status-Type"] = status
        request["User-Name"] = login
        request["Acct-Session-Id"] = session
        request["NAS-IP-Address"] = "127.0.0.1"
        request["Framed-IP-Address"] = "100.64.0.7"
        request["Acct-Session-Time"] = 60
        request["Event-Timestamp"] = int(at)
        assert self._client.SendPacket(request).code == AccountingResponse


@contextmanager
def freeradius(dialect: str, port: int, user: str, database: str) -> Iterator[Nas]:
    load_schema(dialect, port, user, database)
    folder = Path(tempfile.mkdtemp(prefix="prosa-radius-"))
    acct_port, coa_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    config = CONFIG.format(
        shipped=SHIPPED,
        folder=folder,
        secret=SECRET,
        dialect=dialect,
        port=port,
        user=user,
        database=database,
        acct_port=acct_port,
        coa_port=coa_port,
        gone=GONE,
        stubborn=STUBBORN,
    )
    (folder / "radiusd.conf").write_text(config)
    command = [_program("freeradius"), "-f", "-l", "stdout", "-d", str(folder), "-D", "/usr/share/freeradius"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_die_with_us)
    try:
        deadline = time.monotonic() + 20
        while "Ready to process requests" not in (text := (folder / "log").read_text()):
            assert server.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        yield Nas(acct_port, coa_port, folder)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
