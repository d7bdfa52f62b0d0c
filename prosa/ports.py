"""Are our ports free? One that is taken is named, with who has it and the setting that moves it."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from ura.settings import Settings

RTP_ASKED = 50  # of the range: binding all of them would take a while, and tell no more
Listener = tuple[str, str, int, socket.SocketKind, str]


def wanted(settings: Settings) -> list[Listener]:
    """What listens where: (name, host, port, kind, setting)."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    return [
        ("SIP", settings.sip_host, settings.sip_port, udp, "PROSA_SIP_PORT"),
        ("FastAGI", settings.agi_host, settings.agi_port, tcp, "PROSA_AGI_PORT"),
        ("AMI", settings.ami_host, settings.ami_port, tcp, "PROSA_AMI_PORT"),
        ("HTTP", settings.http_host, settings.http_port, tcp, "PROSA_HTTP_PORT"),
    ]


def troubles(settings: Settings) -> list[str]:
    """One line for each port that cannot be had; each says what to do."""
    found = _range_troubles(settings)
    for name, host, port, kind, setting in wanted(settings):
        error = _why_not(host, port, kind)
        if error is None:
            continue
        protocol = "udp" if kind == socket.SOCK_DGRAM else "tcp"
        if error == errno.EADDRINUSE:
            owner = _owner(port, protocol)
            by = f" by {owner}" if owner else ""
            found.append(
                f"{name}: port {port}/{protocol} is taken{by}. Stop it, or choose another: {setting}={port + 1}"
            )
        else:
            host_setting = setting.replace("_PORT", "_HOST")
            found.append(f"{name}: {host}:{port}/{protocol}: {_text(error)}. See {setting} and {host_setting}")
    return found


def _range_troubles(settings: Settings) -> list[str]:
    """Asterisk takes a call's sound on any pair of these ports: a few that are taken are passed over (rtp_engine), half
    of them would be calls without sound. And the ports of ours must not lie among them."""
    first, last = settings.rtp_first_port, settings.rtp_last_port
    where = "See PROSA_RTP_FIRST_PORT and PROSA_RTP_LAST_PORT"
    inside = [
        f"{name}: port {port}/udp lies among those for sound, {first} to {last}. {where}"
        for name, _, port, kind, _ in wanted(settings)
        if kind == socket.SOCK_DGRAM and first <= port <= last
    ]
    asked = range(first, last + 1, max(1, (last - first + 1) // RTP_ASKED))
    taken = [port for port in asked if _why_not(settings.sip_host, port, socket.SOCK_DGRAM) == errno.EADDRINUSE]
    if len(taken) * 2 < len(asked):
        return inside
    owner = _owner(taken[0], "udp")
    by = f" by {owner}" if owner else ""
    return [*inside, f"RTP: of the ports {first} to {last}/udp at least half are taken{by}. {where}"]


def _text(error: int) -> str:
    return OSError(error, "").strerror or errno.errorcode.get(error, str(error))


def _why_not(host: str, port: int, kind: socket.SocketKind) -> int | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            return error.errno
    return None


def _owner(port: int, protocol: str) -> str:
    """`name (pid)` of the process that has the port; empty when we may not know."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port, protocol)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in inodes:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # it ended, or belongs to somebody else
            continue
    return ""


def _inodes(port: int, protocol: str) -> Iterator[str]:
    for table in (protocol, f"{protocol}6"):
        file = Path("/proc/net") / table
        for line in file.read_text().splitlines()[1:] if file.exists() else []:
            fields = line.split()
            listening = protocol == "udp" or fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
