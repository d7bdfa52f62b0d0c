"""A fake Asterisk: the client half of FastAGI over real loopback TCP, as res_agi.c 22 does it, and a caller in it.

`await FakeAsterisk(port, keys=["1", "2"]).call()` is one call: every GET DATA takes the next of the caller's `keys`.
`heard` is what was played, `variables` what the server set, `status` what AGISTATUS would be.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

HEADER = {
    "agi_network": "yes",
    "agi_network_script": "inbound",
    "agi_request": "agi://127.0.0.1/inbound",
    "agi_channel": "PJSIP/trunk-00000001",
    "agi_language": "pt_BR",
    "agi_type": "PJSIP",
    "agi_uniqueid": "prosa-1700000000.1",
    "agi_version": "22.10.1",
    "agi_callerid": "11987654321",
    "agi_calleridname": "unknown",
    "agi_callingpres": "0",
    "agi_callingani2": "0",
    "agi_callington": "0",
    "agi_callingtns": "0",
    "agi_dnid": "551133330001",
    "agi_rdnis": "unknown",
    "agi_context": "from-trunk",
    "agi_extension": "551133330001",
    "agi_priority": "5",
    "agi_enhanced": "0.0",
    "agi_accountcode": "",
    "agi_threadid": "140000000000",
}
DEAD = {"NOOP", "SET VARIABLE", "GET VARIABLE", "EXEC", "VERBOSE"}
HANG_UP = "hang up"


def header(**changes: str) -> bytes:
    lines = {**HEADER, **changes}
    return "".join(f"{key}: {value}\n" for key, value in lines.items()).encode() + b"\n"


def parse_args(line: str) -> list[str]:
    """res_agi.c 22:4124, parse_args, character by character; `cur` is the buffer that words are written into."""
    words: list[list[str]] = []
    quoted = escaped = False
    whitespace = True
    for char in line:
        if char == '"' and not escaped:
            quoted = not quoted
            if quoted and whitespace:
                words.append([])
                whitespace = False
        elif char in " \t" and not quoted and not escaped:
            whitespace = True
        elif char == "\\" and not escaped:
            escaped = True
        else:
            if whitespace:
                words.append([])
                whitespace = False
            words[-1].append(char)
            escaped = False
    return ["".join(word) for word in words]


@dataclass
class FakeAsterisk:
    port: int
    keys: Iterable[str] = ()  # one entry a GET DATA; HANG_UP while it plays
    hang_up_before: int | None = None  # the caller goes while our side is busy, before this command (1 is the first)
    exit_on_hangup: bool = True  # AGIEXITONHANGUP=yes
    missing: frozenset[str] = frozenset()  # files that cannot be opened
    header: bytes = field(default_factory=header)
    heard: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    status: str = ""
    record_endpos: int = 16000
    queue: str = "0 1 1"  # callers in it, attendants ready, attendants there
    dead: bool = False

    async def call(self) -> "FakeAsterisk":
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._keys = iter(self.keys)
        self.writer.write(self.header)
        try:
            await self._serve(reader)
        except ConnectionError:
            self.status = self.status or "SUCCESS"
        finally:
            self.writer.close()
        return self

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        while True:
            if self.hang_up_before == len(self.commands) + 1 and not self.dead and self._die():
                return
            line = await reader.readline()
            if not line:
                self.status = "HANGUP" if self.dead else "SUCCESS"
                return
            if line.lower().startswith(b"failure"):
                self.status = "FAILURE"
                return
            words = parse_args(line.decode().rstrip("\n"))
            self.commands.append(words)
            for reply in self._perform(words):
                self.writer.write(reply.encode() + b"\n")
            if self.dead and self.exit_on_hangup:
                self.writer.write(b"HANGUP\n")
                self.status = "HANGUP"
                return
            await self.writer.drain()

    def _die(self) -> bool:
        self.dead = True
        self.status = "HANGUP"
        self.writer.write(b"HANGUP\nHANGUP\n" if self.exit_on_hangup else b"HANGUP\n")
        return self.exit_on_hangup

    def _perform(self, words: list[str]) -> list[str]:
        two = " ".join(words[:2]).upper()
        known = {"GET DATA", "GET FULL", "GET VARIABLE", "RECORD FILE", "SET VARIABLE"}
        name = two if two in known else words[0].upper()
        if self.dead and name not in DEAD:
            return ["511 Command Not Permitted on a dead channel or intercept routine"]
        match name:
            case "SET VARIABLE":
                self.variables[words[2]] = words[3]
                return ["200 result=1"]
            case "EXEC" if words[1] == "MSet":
                self.variables.update(pair.split("=", 1) for pair in words[2].split(","))
                return ["200 result=0"]
            case "GET DATA":
                return self._get_data(words[2])
            case "GET FULL" if "QUEUE_WAITING_COUNT" in words[3]:
                return [f"200 result=1 ({self.queue})" if self.queue else "200 result=0"]
            case "RECORD FILE":
                if next(self._keys, "#") == HANG_UP:
                    return [f"200 result=-1 (hangup) endpos={self.record_endpos}", *self._gone()]
                return [f"200 result=35 (dtmf) endpos={self.record_endpos}"]
            case _:
                return ["200 result=0"]

    def _get_data(self, file: str) -> list[str]:
        if file in self.missing:
            return ["200 result=-1"]
        if file:
            self.heard.append(file)
        pressed = next(self._keys, "")
        if pressed == HANG_UP:
            return ["200 result=-1", *self._gone()]
        if pressed.endswith("#"):
            return [f"200 result={pressed[:-1]}"]
        return [f"200 result={pressed}" if pressed else "200 result= (timeout)"]

    def _gone(self) -> list[str]:
        self.dead = True
        return ["HANGUP"]
