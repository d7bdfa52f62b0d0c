"""Asterisk for one installation: found, configured from the settings, started in the foreground, stopped.

    home = find(settings) or install(settings)     where Asterisk lives: Path("/") or a private root folder
    asterisk = start(settings)                     renders, launches, returns when it is fully booted
    asterisk.command("core show channels count")   its own command line, over its control socket
    rewrite(asterisk, settings, dids=…, attendants=…); reload(asterisk)    other numbers and phones; calls go on
    stop(asterisk, gracefully=True)                calls in progress end first

Several can run side by side, each with its own state folder, ports and RTP range. As root, Asterisk runs as the user
`asterisk` in a mount namespace of its own (scripts/launch-asterisk.sh) and sees, of the host, only the folders in
`_folders`, at the same absolute paths; without the right to make a namespace (a container) it is simply started.
"""

import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prosa.asterisk_config import (
    DEMO_ATTENDANTS,
    DEMO_DIDS,
    PROMPTS,
    TEMPLATES,
    AsteriskError,
    Attendant,
    Did,
    attendant_secret,
    furnish,
    home_dir,
    remember,
    remembered,
    render,
)
from prosa.supervisor import malloc_environment
from ura.settings import ROOT, Settings

__all__ = [
    "DEMO_ATTENDANTS",
    "DEMO_DIDS",
    "PROMPTS",
    "Asterisk",
    "AsteriskError",
    "Attendant",
    "Did",
    "attendant_secret",
    "find",
    "furnish",
    "home_dir",
    "install",
    "reload",
    "remember",
    "remembered",
    "render",
    "rewrite",
    "start",
    "stop",
    "version",
]

WANTED_VERSION = 20
RELOADS = (
    "dialplan reload",
    "module reload res_pjsip.so",
    "queue reload all",
)  # numbers, phones, who serves which queue
CANNOT_LISTEN = re.compile("could not be started|Unable to bind|already in use|Cannot assign requested address")
# --- where it is


def find(settings: Settings) -> Path | None:
    """The folder Asterisk ≥ 20 lives under: "/" for the system's own, else a private root folder; None: not there."""
    if settings.asterisk_dir:
        return Path(settings.asterisk_dir).resolve()
    if _system_asterisk() and version(Path("/")) >= WANTED_VERSION:
        return Path("/")
    folders = (settings.state_dir / "asterisk-root", ROOT / "var/asterisk-root")
    return next((folder.resolve() for folder in folders if (folder / "usr/sbin/asterisk").exists()), None)


def install(settings: Settings) -> Path:
    """Install it, with progress on standard error (scripts/install-asterisk.sh), and say where it is."""
    target = settings.asterisk_dir or str(settings.state_dir.resolve() / "asterisk-root")
    done = subprocess.run(  # noqa: S603 - our own script
        [ROOT / "scripts/install-asterisk.sh", target], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise AsteriskError("Asterisk could not be installed; the lines above say why.")
    return Path(done.stdout.strip().splitlines()[-1])


def version(home: Path) -> int:
    """Asterisk's major version. Raises AsteriskError when it does not run."""
    command = [_system_asterisk(), "-V"] if home == Path("/") else ["chroot", str(home), "/usr/sbin/asterisk", "-V"]
    try:
        said = subprocess.run(  # noqa: S603 - Asterisk itself
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise AsteriskError(f"the Asterisk under {home} does not run: {error}") from error
    number = re.search(r"(\d+)\.", said)
    return int(number[1]) if number else 0


def _system_asterisk() -> str:
    return shutil.which("asterisk", path=f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin") or ""


# --- running it


@dataclass(frozen=True, slots=True)
class Asterisk:
    """One that runs. `process.pid` is Asterisk itself; `home` is what `find` said."""

    process: subprocess.Popen[bytes]
    home: Path
    control: str
    log: Path
    isolated: bool = False

    def command(self, line: str, timeout_s: float = 5) -> str:
        """What Asterisk's command line answers. Raises AsteriskError when it does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(timeout_s)
                link.connect(self.control)
                # asterisk.c 22, netconsole: one command, then it closes.
                link.sendall(f"cli quit after {line}\0".encode())
                answer = b"".join(iter(lambda: link.recv(65536), b""))
        except OSError as error:
            raise AsteriskError(f"Asterisk did not answer {line!r}: {error}") from error
        return answer.decode(errors="replace").partition("\n")[2]  # the first line is a greeting

    def drain(self) -> None:
        """No new calls from now on; it ends when those in progress have ended. Returns at once."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.settimeout(2)
            link.connect(self.control)
            link.recv(1024)  # the greeting: somebody is listening
            link.sendall(b"cli quit after core stop gracefully\0")  # is answered only at the end


def start(
    settings: Settings,
    *,
    dids: Sequence[Did] | None = None,
    attendants: Sequence[Attendant] | None = None,
    timeout_s: float = 30,
) -> Asterisk:
    """Render, launch, and return when Asterisk is fully booted. Raises AsteriskError with what it logged.

    `dids`, `attendants`: None means those of the last start with this state folder, or the demo's.
    Its output goes to `<state>/asterisk/log/console.log`. It lives in a process group of its own, so that a Ctrl-C for
    the supervisor does not cut the calls.
    """
    home = find(settings)
    if home is None:
        raise AsteriskError("Asterisk 20 or later is not here. Run: scripts/install-asterisk.sh")
    isolated = _may_isolate()
    if home != Path("/") and not isolated:
        raise AsteriskError(
            f"Asterisk in {home} can only be started by root. Install Asterisk 20 or later on the system."
        )
    own = home_dir(settings)
    _end_earlier(own / "pid")
    writable = furnish(settings, home)
    known_dids, known_attendants = remembered(settings)
    dids = known_dids if dids is None else dids
    attendants = known_attendants if attendants is None else attendants
    render(settings, home=home, dids=dids, attendants=attendants, isolated=isolated)
    remember(settings, dids, attendants)
    user = _user(home)
    if user and os.geteuid() == 0:
        _hand_over(settings, writable, user)
    command = _launch_command(settings, home, user if os.geteuid() == 0 else None, isolated)
    log = own / "log/console.log"
    messages = own / "log/messages.log"
    logged = messages.stat().st_size if messages.exists() else 0
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - Asterisk itself, and our own launcher before it
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            process_group=0,
            cwd="/",
            env=_environment(settings),
        )
    (own / "pid").write_text(str(process.pid))
    control = f"/proc/{process.pid}/root/run/asterisk/asterisk.ctl" if isolated else f"{own}/run/asterisk.ctl"
    asterisk = Asterisk(process, home, control, log, isolated)
    try:
        _wait_until_booted(asterisk, time.monotonic() + timeout_s)
        _refuse_deaf(messages, logged)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return asterisk


def rewrite(asterisk: Asterisk, settings: Settings, *, dids: Sequence[Did], attendants: Sequence[Attendant]) -> None:
    """The files of one that runs, for other numbers and phones; `reload` makes it read them, and so does a start.

    Raises AsteriskError for a number that is none; then nothing is written.
    """
    etc = render(settings, home=asterisk.home, dids=dids, attendants=attendants, isolated=asterisk.isolated)
    remember(settings, dids, attendants)
    user = _user(asterisk.home)
    if user and os.geteuid() == 0:
        for path in etc.rglob("*"):  # new files: it could not read them
            os.chown(path, -1, user.pw_gid)


def reload(asterisk: Asterisk) -> None:
    """Read the dialplan, the phones and the queues again; calls in progress and callers who wait stay where they are.
    Raises AsteriskError when it does not answer."""
    for line in RELOADS:
        if "No such" in (said := asterisk.command(line, timeout_s=2)):
            raise AsteriskError(f"Asterisk does not do {line!r}: {said.strip()}")


def stop(asterisk: Asterisk, *, gracefully: bool = False, timeout_s: float = 10) -> None:
    """End it. `gracefully`: no new calls, and those in progress may last up to `timeout_s` more."""
    process = asterisk.process
    if process.poll() is None and gracefully:
        asterisk.drain()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
    if process.poll() is None:
        process.kill()
    process.wait()


def _wait_until_booted(asterisk: Asterisk, deadline: float) -> None:
    """Asterisk tells: `core waitfullybooted` answers when the last module is loaded. Its socket is there a little later
    than the process, so that is tried again until it is."""
    while asterisk.process.poll() is None and (left := deadline - time.monotonic()) > 0:
        try:
            if "fully booted" in asterisk.command("core waitfullybooted", timeout_s=left):
                return
        except AsteriskError:
            time.sleep(0.02)
    said = asterisk.log.read_text(errors="replace").strip().splitlines()[-15:]
    raise AsteriskError("Asterisk did not start:\n" + "\n".join(said))


def _refuse_deaf(messages: Path, logged: int) -> None:
    """Asterisk boots even when it cannot listen: without its SIP or AMI port it is no use to anybody."""
    with messages.open(errors="replace") as file:
        file.seek(logged)
        wrong = [line.rstrip() for line in file if " ERROR[" in line and CANNOT_LISTEN.search(line)]
    if wrong:
        raise AsteriskError("Asterisk cannot listen where the settings say:\n" + "\n".join(wrong))


def _end_earlier(pid_file: Path) -> None:
    """A supervisor that was killed leaves its Asterisk: it goes on answering, but nobody can stop it and it holds the
    ports. End the one that an earlier run with this state folder started."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if str(pid_file.parent / "etc/asterisk.conf").encode() not in command:
            return
        handle = os.pidfd_open(pid)
        try:
            for number, patience_s in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
                signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], patience_s)[0]:
                    return
        finally:
            os.close(handle)


def _launch_command(settings: Settings, home: Path, user: pwd.struct_passwd | None, isolated: bool) -> list[str]:
    own = home_dir(settings)
    direct = [_system_asterisk() or "asterisk", "-f", "-C", str(own / "etc/asterisk.conf")]
    if not isolated:
        if user is None:
            return direct
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", *direct]
    seen = [
        own,
        settings.recordings_dir,
        settings.journal_dir,
        settings.live_dir,
        settings.rendered_dir,
        PROMPTS,
        TEMPLATES / "moh",
        ROOT / "agi",
    ]
    name = user.pw_name if user else "root"
    launcher = ["unshare", "--mount", "--propagation", "private", "/bin/sh", str(ROOT / "scripts/launch-asterisk.sh")]
    return [*launcher, str(home), name, str(own), *(str(folder.resolve()) for folder in seen)]


def _may_isolate() -> bool:
    """Root in a container often may not make a mount namespace."""
    probe = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if os.geteuid() != 0:
        return False
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0  # noqa: S603 - fixed words


def _user(home: Path) -> pwd.struct_passwd | None:
    """The user `asterisk`, as the system under `home` knows it."""
    with suppress(OSError, ValueError):
        for line in (home / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == "asterisk":
                return pwd.struct_passwd((fields[0], fields[1], int(fields[2]), int(fields[3]), *fields[4:7]))
    return None


def _hand_over(settings: Settings, writable: Sequence[Path], user: pwd.struct_passwd) -> None:
    """Asterisk may write to these folders and read its configuration; it owns nothing else."""
    for folder in writable:
        os.chown(folder, -1, user.pw_gid)
        folder.chmod(0o2775 if folder.name == "journal" else 0o2770)
    own = home_dir(settings)
    for base, folders, files in os.walk(own):
        inside = Path(base)
        owner = user.pw_uid if inside in writable or writable[1] in inside.parents else -1
        for path in [inside, *(inside / name for name in (*folders, *files))]:
            os.chown(path, owner, user.pw_gid, follow_symlinks=False)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "TZ": settings.time_zone,
        "HOME": "/",
        # As many heaps as cores: 91 → 94 MB over 900 calls, where it went from 85 to 103 with glibc's eight a core.
        **malloc_environment(max(2, os.cpu_count() or 1)),
    }
