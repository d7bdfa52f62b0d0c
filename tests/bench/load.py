"""SIPp as many callers at once, each with a number of its own: dial, speak, press keys at given seconds, hang up.

A call that the service ends before the caller does counts as failed; so "nobody was dropped" is `failed == 0`. SIPp
speaks and does not listen: datagrams dropped at its own socket mean nothing, those at Asterisk's do (measure.Drops).
"""

import csv
import signal
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INVITE = """
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:crowd@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 96
a=rtpmap:8 PCMA/8000
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-15
a=ptime:20
"""
LATER = """
{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field0]@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:crowd@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Length: 0
"""
HANG_UP = """<pause milliseconds="{after_ms}"/>
<send retrans="500"><![CDATA[{bye}]]></send>
<recv response="200" next="10"/>"""
UNTIL_ENDED = """<recv request="BYE" timeout="{within_ms}"/>
<send next="10"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0
]]></send>"""
REFUSED = "refused"

PACKET_S, SAMPLES = 0.02, 160
SILENCE = bytes([0xD5]) * SAMPLES
EVENT_PAYLOAD, ALAW_PAYLOAD = 96, 8
KEYS = "0123456789*#"


def audio(keys: Sequence[tuple[float, str]], length_s: float) -> bytes:
    """A call's whole RTP as a pcap file: quiet A-law, and an RFC 4733 event of 100 ms for each key, all in one stream.

    SIPp's own `play_dtmf` beside its `-rtp_echo` are two streams on one port: Asterisk then counts a key up to five
    times, and turns without rest.
    """
    packets: list[tuple[float, bytes]] = []
    down = {round(at_s / PACKET_S): key for at_s, key in keys}
    number, tick = 0, 0
    while tick < length_s / PACKET_S:
        if (key := down.get(tick)) is None:
            packets.append((tick * PACKET_S, _rtp(ALAW_PAYLOAD, number, tick * SAMPLES, SILENCE)))
            number, tick = number + 1, tick + 1
            continue
        for step in range(1, 9):  # the last three say that it has ended
            over = step > 5
            event = struct.pack("!BBH", KEYS.index(key), (0x80 if over else 0) | 10, min(step, 5) * SAMPLES)
            place = (tick + min(step, 5) - 1) * PACKET_S
            packets.append((place, _rtp(EVENT_PAYLOAD, number, tick * SAMPLES, event, marker=step == 1)))
            number += 1
        tick += 5
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(_record(at_s, packet) for at_s, packet in packets)


def _rtp(payload: int, number: int, stamp: int, content: bytes, *, marker: bool = False) -> bytes:
    kind = payload | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, stamp & 0xFFFFFFFF, 0x50524F53) + content


def _record(at_s: float, packet: bytes) -> bytes:
    """Ethernet, IPv4 and UDP around it; SIPp puts in addresses, ports and checksums."""
    udp = struct.pack("!HHHH", 6000, 6000, 8 + len(packet), 0) + packet
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001)
    frame = bytes(12) + b"\x08\x00" + ip + udp
    seconds, rest = divmod(round(at_s * 1_000_000), 1_000_000)
    return struct.pack("<IIII", seconds, rest, len(frame), len(frame)) + frame


def scenario(length_s: float, *, may_be_refused: bool = False, until_ended: bool = False) -> str:
    """Dial, play `call.pcap`, hang up. `may_be_refused`: a 503 is no failure, but is counted. `until_ended`: within
    `length_s` the service ends the call."""
    ends_ms, bye = round(length_s * 1000), LATER.format(method="BYE", number=2)
    end = UNTIL_ENDED.format(within_ms=ends_ms) if until_ended else HANG_UP.format(after_ms=ends_ms, bye=bye)
    refused = f'<recv response="503" optional="true" next="9"><action><log message="{REFUSED}"/></action></recv>'
    return f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="crowd">
<send retrans="500"><![CDATA[{INVITE}]]></send>
<recv response="100" optional="true"/>
{refused if may_be_refused else ""}
<recv response="200" rtd="true" timeout="5000"/>
<send><![CDATA[{LATER.format(method="ACK", number=1)}]]></send>
<nop><action><exec play_pcap_audio="call.pcap"/></action></nop>
{end}
<label id="9"/>
<send><![CDATA[{LATER.format(method="ACK", number=1)}]]></send>
<label id="10"/>
<nop/>
</scenario>
"""


@dataclass(frozen=True, slots=True)
class LoadResult:
    calls: int
    failed: int
    seconds: float
    answer_p99_ms: float
    most_at_once: int


class Load:
    """A run of SIPp against `target` ("host:port"). Callers are `+first_number` and those that follow."""

    def __init__(self, folder: Path, target: str, *, first_number: int = 5511900000000) -> None:
        self._folder = folder
        self._target = target
        self._first_number = first_number

    def dial(
        self,
        number: str,
        keys: Sequence[tuple[float, str]],
        length_s: float,
        *,
        calls: int,
        per_second: float,
        at_once: int,
        may_be_refused: bool = False,
        until_ended: bool = False,
    ) -> None:
        """Start. `keys`: (seconds after the answer, key). At most `at_once` calls are up."""
        self._folder.mkdir(parents=True, exist_ok=True)
        told = scenario(length_s, may_be_refused=may_be_refused, until_ended=until_ended)
        (self._folder / "crowd.xml").write_text(told)
        (self._folder / "call.pcap").write_bytes(audio(keys, length_s))
        numbers = "".join(f"+{self._first_number + n}\n" for n in range(calls))
        (self._folder / "numbers.csv").write_text("SEQUENTIAL\n" + numbers)
        arguments = [
            "sipp", self._target, "-sf", "crowd.xml", "-inf", "numbers.csv", "-s", number,
            "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", "0", "-m", str(calls), "-r", f"{per_second:g}",
            "-l", str(at_once), "-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "1",
            "-trace_rtt", "-rtt_freq", "1", "-trace_logs", "-log_file", "said.log", "-recv_timeout", "8000",
            "-trace_err", "-error_file", "errors.log",
        ]  # fmt: skip
        self._log = (self._folder / "sipp.log").open("wb")
        self._process = subprocess.Popen(arguments, cwd=self._folder, stdout=self._log, stderr=subprocess.STDOUT)

    def callers(self, calls: int) -> range:
        """The numbers of the first `calls` of them."""
        return range(self._first_number, self._first_number + calls)

    def calls_now(self) -> int:
        """Calls that are up, as SIPp last counted (each second)."""
        rows = self._rows()
        return int(rows[-1]["CurrentCall"]) if rows else 0

    def refused(self) -> int:
        file = self._folder / "said.log"
        return file.read_text().count(REFUSED) if file.exists() else 0

    def complaints(self) -> str:
        file = self._folder / "errors.log"
        return file.read_text(errors="replace")[:2000] if file.exists() else ""

    def enough(self) -> None:
        """No new calls; those that are up go on to their end."""
        self._process.send_signal(signal.SIGUSR1)

    def wait(self, timeout_s: float) -> LoadResult:
        """Raises subprocess.TimeoutExpired when calls hang."""
        self._process.wait(timeout_s)
        self._log.close()
        return self.result()

    def stop(self) -> None:
        """Whatever happens, no SIPp is left."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._log.close()

    def result(self) -> LoadResult:
        """After the end."""
        rows = self._rows()
        last = rows[-1]
        times = sorted(
            float(row.split(";")[1])
            for path in self._folder.glob("*_rtt.csv")
            for row in path.read_text().splitlines()[1:]
            if row.count(";") >= 2
        )
        hours, minutes, seconds = last["ElapsedTime(C)"].split(":")[:3]
        return LoadResult(
            calls=int(last["TotalCallCreated"]),
            failed=int(last["FailedCall(C)"]),
            seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
            answer_p99_ms=times[int(0.99 * len(times))] if times else 0.0,
            most_at_once=max(int(row["CurrentCall"]) for row in rows),
        )

    def _rows(self) -> list[dict[str, str]]:
        file = self._folder / "stat.csv"
        if not file.exists():
            return []
        with file.open(newline="") as lines:
            return [row for row in csv.DictReader(lines, delimiter=";") if row["CurrentCall"]]
