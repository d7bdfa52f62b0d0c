"""pyst2 on asyncio: its AGI vocabulary, with the methods that are wrong replaced. Only here is `asterisk` imported.

pyst2 0.5.1 (agi.py, "Y") supplies the command methods, the digit decoding and the exceptions. Overridden here:

* `__init__`      Y:98 took over SIGHUP for the whole process; Y:99-123 read the header blocking, unbounded, strict
                  UTF-8, and wrote it to stderr with the caller's number. Ours gets the environment from `variables`.
* `_quote`        Y:125 did not escape; a line break in a value became a second command. Ours escapes or refuses.
* `send_command`  Y:160 took file names unquoted and wrote str, and each command to stderr. Ours is the one encoder.
* `get_result`    Y:168 fell out of step at HANGUP, at end of file, at 100 and 511, and looped for ever in a broken 520.
* `execute`       Y:145 had no deadline, and took result=-1 for an application error although the caller had gone.

tests/contracts/test_pyst2_quirks.py dies when upstream no longer needs one of these.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from asterisk.agi import (
    AGI,
    AGIAppError,
    AGIHangup,
    AGIInvalidCommand,
    AGIResultHangup,
    AGIUsageError,
    re_kv,
)

from agi import bridge
from agi.wire import TooMuch, Wire
from ura.errors import HungUp
from ura.flows.channel import ChannelLost

T = TypeVar("T")

MAX_COMMAND = 8190  # res_agi.c 22: AGI_BUF_LEN 8192, with the line end and the NUL
MAX_ARGUMENTS = 32  # res_agi.c before 22.10.2 smashes its stack at 128 quoted ones (issue 2069)
MAX_USAGE_LINES = 64
MAX_RESULT = 1100  # GET DATA returns at most 1,023 keys; re_kv needs quadratic time on a long word
COMMAND_S = 5.0  # for a command that neither plays nor waits

_PLAIN = re.compile(r"[A-Za-z0-9/_.&=()-]+")
_ENDPOS = re.compile(r" endpos=(\d{1,12})")
_FORBIDDEN = re.compile("[\r\n\0]")


class LineLost(ChannelLost):
    """Asterisk stopped answering, or what it says is no AGI. The caller may be there, but not for us."""


class NotPlayed(Exception):
    """The command failed and the caller is still there: most likely there is no such sound file."""


class CommandRefused(ValueError):
    """The command cannot be sent as one line of at most 8 KiB and 32 arguments."""


class Quoted(str):
    """An argument that is already in Asterisk's quotes."""

    __slots__ = ()


def quote(value: object) -> Quoted:
    """res_agi.c 22, parse_args: a double quote toggles quoting, a backslash escapes the next character."""
    text = str(value)
    if _FORBIDDEN.search(text):
        raise CommandRefused("a line break or NUL in an argument")
    return Quoted('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


def encode(command: str, *args: object) -> bytes:
    """One command, one line. Arguments that are not plain are quoted. Raises CommandRefused."""
    words = command.split()
    for arg in args:
        if isinstance(arg, Quoted):
            words.append(arg)
        elif (text := str(arg)) == "":
            continue  # pyst2 passes "" for an optional argument that is not there
        else:
            words.append(text if _PLAIN.fullmatch(text) else quote(text))
    if not words or len(words) > MAX_ARGUMENTS:
        raise CommandRefused(f"{len(words)} words in a command; 1 to {MAX_ARGUMENTS} can be sent")
    try:
        line = " ".join(words).encode()
    except UnicodeEncodeError as error:
        raise CommandRefused("text that is not Unicode") from error
    if len(line) > MAX_COMMAND:
        raise CommandRefused(f"a command of {len(line)} bytes")
    return line + b"\n"


class Session(AGI):  # type: ignore[misc]  # pyst2 has no types
    """One call's AGI. Call its methods with `await session.run(session.answer)`, never directly."""

    def __init__(self, wire: Wire, environment: Mapping[str, str]) -> None:
        # No super().__init__: see the module's docstring.
        self.wire = wire
        self.env = dict(environment)
        self.hung_up = False
        self.reply = ""
        self._ends = 0.0  # when the command that runs must have been answered, by the loop's clock
        self._got_sighup = False

    async def run(self, method: Callable[..., T], *args: Any, timeout_s: float = COMMAND_S) -> T:
        """Run one of pyst2's methods. Raises HungUp when the caller has gone, LineLost when Asterisk has,
        NotPlayed when the command failed on a caller who is still there. `timeout_s` is for the whole reply, however
        many lines it comes in."""
        self._limit(timeout_s)
        try:
            return await bridge.run(method, *args)
        except AGIHangup as gone:
            self.hung_up = True
            raise HungUp from gone
        except AGIAppError as error:
            raise NotPlayed(self.reply) from error

    def execute(self, command: str, *args: object) -> dict[str, tuple[str, str]]:
        self.test_hangup()
        try:
            return self._exchange(command, *args)
        except AGIHangup:
            raise
        except AGIAppError:
            # result=-1 means that the caller has gone, or that there is no such file. Asterisk announces a hang-up
            # before it reads another command (res_agi.c 22:4361), so that one NOOP settles it.
            self._limit(COMMAND_S)
            failed = self.reply
            try:
                self._exchange("NOOP")
            finally:
                self.reply = failed
            raise

    def timed_out(self) -> bool:
        """The last reply says that the caller did not finish in time."""
        return self.reply.endswith("(timeout)")

    def recorded(self) -> int:
        """Samples in the file, by the last reply."""
        found = _ENDPOS.search(self.reply)
        return int(found[1]) if found else 0

    def test_hangup(self) -> None:
        if self.hung_up:
            raise AGIHangup("the caller has gone")

    def send_command(self, command: str, *args: object) -> None:
        self.wire.write(encode(command, *args))

    def get_result(self, stdin: None = None) -> dict[str, tuple[str, str]]:
        """The reply to one command. HANGUP lines are remembered and are no replies."""
        announced = False
        while True:
            line = self._readline()
            if line == "HANGUP":
                announced = True
            elif line[:3] != "100":
                break
        self.reply = line
        code = line[:3]
        if code == "511" or announced:
            raise AGIHangup("the caller has gone")
        if code == "200":
            return _parse_result(line)
        if code == "510":
            raise AGIInvalidCommand(line)
        if code == "520":
            raise AGIUsageError(self._usage(line))
        raise self._lost("said something that is no AGI reply")

    def _quote(self, string: object) -> Quoted:
        return quote(string)

    def _limit(self, timeout_s: float) -> None:
        self._ends = asyncio.get_running_loop().time() + timeout_s

    def _exchange(self, command: str, *args: object) -> dict[str, tuple[str, str]]:
        self.send_command(command, *args)
        return self.get_result()

    def _usage(self, first: str) -> str:
        """res_agi.c 22:4272: `520-` opens several lines that end with `520 End …`; `520 …` stands alone."""
        lines = [first]
        while lines[-1][:4] != "520 ":
            if len(lines) > MAX_USAGE_LINES:
                raise self._lost("sent a usage text without end")
            lines.append(self._readline())
        return "\n".join(lines)

    def _readline(self) -> str:
        try:
            line = bridge.wait(self.wire.readline(self._ends - asyncio.get_running_loop().time()))
        except TimeoutError:
            raise self._lost("did not answer in time") from None
        except TooMuch:
            raise self._lost("sent a line without end") from None
        if not line:
            raise AGIHangup("Asterisk closed the connection")
        return line.decode("utf-8", errors="replace").strip()

    def _lost(self, what: str) -> LineLost:
        self.hung_up = True
        self.wire.abort()
        return LineLost(f"Asterisk {what}")


def _parse_result(line: str) -> dict[str, tuple[str, str]]:
    result = {"result": ("", "")}
    for key, value, data in re_kv.findall(line[3:MAX_RESULT]):
        result[key] = (value, data)
    value, data = result["result"]
    if data == "hangup":
        raise AGIResultHangup("the caller hung up meanwhile")
    if value == "-1":
        raise AGIAppError(line)
    return result
