"""One SIP call at a time, timed by the kernel: INVITE → 200, answer → first sound, key → first packet of what follows.

A key is pressed only after the prompt has ended (no packet for `QUIET_S`), so the next packet is the answer to the key.
What comes while it is still held down is none: that is a prompt which began late.
Times are those of the kernel's receive stamp (SO_TIMESTAMPNS) against the moment before the sending call.
"""

import random
import select
import socket
import struct
import time
from dataclasses import dataclass, field

# Longer than the service is silent while it looks something up between two prompts: after a second it says so. Who
# takes a shorter pause for the end presses into the next prompt, and is one key ahead from then on.
QUIET_S = 1.2
SO_TIMESTAMPNS = 35
END_S = 1.5  # so long nothing: it waits for the caller
EARLY_NS = 1_000_000_000
ANSWER_WITHIN_S = 5.0
TELEPHONE_EVENT = 101
KEYS = "0123456789*#"


@dataclass(slots=True)
class Timing:
    """Milliseconds. `keys_ms` has one for each key pressed that was answered, `pressed_ns` when that was by
    time.time_ns; `silent` counts the others. `silence_ms`:
    the longest from one packet to the next while somebody spoke, so 20 where there was none."""

    answer_ms: float = 0.0
    first_sound_ms: float = 0.0
    keys_ms: list[float] = field(default_factory=list)
    pressed_ns: list[int] = field(default_factory=list)
    silent: int = 0
    silence_ms: float = 0.0


class Probe:
    """A caller made of two UDP sockets. Raises TimeoutError or ConnectionError when the call is not answered."""

    def __init__(self, host: str, port: int) -> None:
        self._peer = (host, port)
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((host, 0))
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._rtp.bind((host, 0))
        self._sequence = random.randrange(1 << 15)
        self._ssrc = random.randrange(1 << 32)
        self._stamp = 0

    def call(self, number: str, keys: str, sender: str = "5511900000000") -> Timing:
        timing = Timing()
        dialog = self._invite(number, sender, timing)
        answered_ns = time.time_ns()
        self._speak()
        timing.first_sound_ms = (self._sound() - answered_ns) / 1e6
        for key in keys:
            self._wait_for_quiet()
            pressed_ns = self._press(key)
            heard = self._next_packet(ANSWER_WITHIN_S)
            while heard is not None and heard < pressed_ns:
                heard = self._next_packet(ANSWER_WITHIN_S)
            if heard is None:
                timing.silent += 1
            else:
                timing.keys_ms.append((heard - pressed_ns) / 1e6)
                timing.pressed_ns.append(pressed_ns)
        self._send_request("BYE", dialog, 2)
        self._response("BYE")
        return timing

    def listen(self, number: str, sender: str, *, keys: str = "", enough_s: float = 60.0) -> Timing:
        """Dial, and listen until nothing is said for `END_S`, or for `enough_s`. The first of `keys` is pressed one
        second after the first sound, the others after the end.

        Raises TimeoutError when nothing at all is said, or nothing after one of the later keys.
        """
        timing = Timing()
        dialog = self._invite(number, sender, timing)
        answered_ns = time.time_ns()
        self._speak()
        first = last = self._sound()
        timing.first_sound_ms = (first - answered_ns) / 1e6
        early = keys[:1]
        while last - first < enough_s * 1e9 and (heard := self._next_packet(END_S)) is not None:
            timing.silence_ms, last = max(timing.silence_ms, (heard - last) / 1e6), heard
            if early and heard - first > EARLY_NS:
                self._press(early)
                early = ""
        for key in keys[1:]:
            self._press(key)
            self._sound()
        self._send_request("BYE", dialog, 2)
        self._response("BYE")
        return timing

    def _sound(self) -> int:
        heard = self._next_packet(ANSWER_WITHIN_S)
        if heard is None:
            raise TimeoutError("silence")
        return heard

    def _speak(self) -> None:
        """A packet of A-law silence, as every phone sends at once. Without any, Asterisk waits half a second for the
        caller's media before it goes on (channel.c 22, __ast_answer)."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        header = struct.pack("!BBHII", 0x80, 0x80 | 8, self._sequence, self._stamp, self._ssrc)
        self._rtp.sendto(header + b"\xd5" * 160, self._media)

    def close(self) -> None:
        self._sip.close()
        self._rtp.close()

    def _invite(self, number: str, sender: str, timing: Timing) -> dict[str, str]:
        host, port = self._sip.getsockname()
        media = self._rtp.getsockname()[1]
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {media} RTP/AVP 8 101\r\n"
            "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        )
        dialog = {
            "uri": f"sip:{number}@{self._peer[0]}:{self._peer[1]}",
            "from": f"<sip:{sender}@{host}:{port}>;tag={random.randrange(1 << 32):x}",
            "to": f"<sip:{number}@{self._peer[0]}>",
            "id": f"{random.randrange(1 << 48):x}@{host}",
        }
        started_ns = time.time_ns()
        self._send_request("INVITE", dialog, 1, sdp)
        answer = self._response("INVITE")
        timing.answer_ms = (time.time_ns() - started_ns) / 1e6
        dialog["to"] = _header(answer, "To")
        dialog["uri"] = _header(answer, "Contact").strip("<>")
        for line in answer.split("\r\n"):
            if line.startswith("m=audio "):
                self._media = (self._peer[0], int(line.split()[1]))
        self._send_request("ACK", dialog, 1)
        return dialog

    def _send_request(self, method: str, dialog: dict[str, str], cseq: int, body: str = "") -> None:
        host, port = self._sip.getsockname()
        lines = [
            f"{method} {dialog['uri']} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{random.randrange(1 << 48):x}",
            "Max-Forwards: 70",
            f"From: {dialog['from']}",
            f"To: {dialog['to']}",
            f"Call-ID: {dialog['id']}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:probe@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self._sip.sendto("\r\n".join(lines).encode(), self._peer)

    def _response(self, method: str) -> str:
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while (left := deadline - time.monotonic()) > 0:
            self._sip.settimeout(left)
            text = self._sip.recv(65535).decode(errors="replace")
            if not text.startswith("SIP/2.0 ") or not _header(text, "CSeq").endswith(method):
                continue
            status = int(text[8:11])
            if status >= 300:
                raise ConnectionError(text.split("\r\n", 1)[0])
            if status >= 200:
                return text
        raise TimeoutError(f"no final answer to {method}")

    def _next_packet(self, within_s: float) -> int | None:
        """Kernel's time of the next audio packet, in ns; None when there is none in time."""
        ready, _, _ = select.select([self._rtp], [], [], within_s)
        if not ready:
            return None
        _data, extra, _flags, _sender = self._rtp.recvmsg(2048, 128)
        seconds, nanos = struct.unpack("qq", extra[0][2][:16])
        return int(seconds) * 1_000_000_000 + int(nanos)

    def _wait_for_quiet(self) -> None:
        while self._next_packet(QUIET_S) is not None:
            pass

    def _press(self, key: str) -> int:
        """Send an RFC 4733 event of 100 ms; returns the time, in ns, before its end was sent."""
        event = KEYS.index(key)
        self._stamp += 8000
        for step in range(5):
            self._event(event, 160 * (step + 1), end=False, marker=step == 0)
            time.sleep(0.02)  # the length of the tone, not a wait for something
        ended_ns = time.time_ns()
        for _ in range(3):
            self._event(event, 960, end=True, marker=False)
        return ended_ns

    def _event(self, event: int, duration: int, *, end: bool, marker: bool) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        header = struct.pack(
            "!BBHII", 0x80, (0x80 if marker else 0) | TELEPHONE_EVENT, self._sequence, self._stamp, self._ssrc
        )
        self._rtp.sendto(header + struct.pack("!BBH", event, (0x80 if end else 0) | 10, duration), self._media)


def _header(message: str, name: str) -> str:
    for line in message.split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    return ""
