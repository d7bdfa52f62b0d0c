"""A scripted SIP caller that knows what it hears: `prosa call`, the first call of `prosa run`, and the live tests.

    async with Caller(sip_port, index=index) as caller:
        call = await caller.dial("551133330001", from_="+5511987654321")
        await call.answered()
        await call.heard("menu.main")
        await call.press("1")
        await call.hang_up()

The SIP side is `prosa.softphone`, a process of its own. All moments are `time.monotonic()`.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prosa.heard import Fingerprints, Heard, Listener

POLL_S = 0.05
_OLDER = Path(sys.prefix) / "softphone/bin/python"  # made where PJSIP has no wheel for our own Python
PYTHON = str(_OLDER) if _OLDER.exists() else sys.executable
LINES = 4  # calls at a time on one phone; PJSIP is built so. More callers: more phones.


class CallerError(Exception):
    """The caller could not do, or did not hear, what the script asked for."""


class Call:
    """One leg as the caller sees it. Moments are None until they happen."""

    def __init__(self, caller: "Caller", call_id: str, recording: Path, remote: str = "") -> None:
        self.id, self.remote, self.recording_file = call_id, remote, recording
        self.dialled_at: float | None = None
        self.answered_at: float | None = None
        self.hearing_at: float | None = None  # moment of the first byte of the recording
        self.sound_at: float | None = None  # first audio that is not silence
        self.ended_at: float | None = None
        self.code = 0  # the SIP status it ended with
        self.reason = ""
        self.keys: list[tuple[float, str]] = []  # (moment the key went down, key)
        self._caller = caller
        self._changed = asyncio.Condition()
        self._listener = Listener(caller.index)
        self._read = 0
        self._taken: dict[str, int] = {}

    # --- what the caller does

    async def answered(self, timeout_s: float = 10) -> None:
        await self._until(lambda: self.answered_at is not None or self.ended_at is not None, timeout_s, "no answer")
        if self.answered_at is None:
            raise CallerError(f"call {self.id} was not answered: {self.code} {self.reason}")

    async def press(self, keys: str, *, hold_ms: int = 100, gap_ms: int = 100) -> None:
        """Press the keys one after another; returns when the last one is down."""
        wanted = len(self.keys) + len(keys)
        self._caller.tell(do="press", call=self.id, keys=keys, hold_ms=hold_ms, gap_ms=gap_ms)
        enough = 5 + len(keys) * (hold_ms + gap_ms) / 1000
        await self._until(lambda: len(self.keys) >= wanted or self.ended_at is not None, enough, f"key {keys} not sent")

    def say(self, alaw: Path) -> None:
        """Speak a file (A-law, 8 kHz, no header) into the call."""
        self._caller.tell(do="play", call=self.id, file=str(alaw))

    def answer(self, *, code: int = 200) -> None:
        """Take a call that rings here (or refuse it with 486, 603, …)."""
        self._caller.tell(do="answer", call=self.id, record=str(self.recording_file), code=code)

    async def hang_up(self) -> None:
        self._caller.tell(do="hang_up", call=self.id)
        await self.ended(5)

    async def ended(self, timeout_s: float = 30) -> None:
        await self._until(lambda: self.ended_at is not None, timeout_s, "still up")

    # --- what the caller hears

    async def heard(self, *keys: str, timeout_s: float = 15, since: float | None = None, whole: bool = False) -> Heard:
        """Wait until one of these prompts has been heard. Asked again for the same prompt, waits for it to be heard
        again; `since` (a moment) leaves out what began before; `whole` waits for its end."""
        wanted = {self._caller.index.same(key) for key in keys}
        unknown = [key for key in keys if key not in self._caller.index]
        if unknown:
            raise CallerError(f"no audio for prompt {', '.join(unknown)}: it cannot be heard")
        deadline = time.monotonic() + timeout_s
        while True:
            over = self.ended_at is not None
            for key in wanted:
                playings = [one for one in self.hearings() if one.key == key]
                for place, one in enumerate(playings[self._taken.get(key, 0) :], self._taken.get(key, 0)):
                    if (since is None or self.moment(one.started_s) >= since) and (one.complete or not whole):
                        self._taken[key] = place + 1
                        return one
            if over or time.monotonic() > deadline:
                why = f"the call ended ({self.code} {self.reason})" if over else f"{timeout_s} s passed"
                heard = ", ".join(f"{one.started_s:.1f}s {one.key}" for one in self.hearings()) or "nothing"
                raise CallerError(f"{' or '.join(keys)} was not heard: {why}; heard: {heard}")
            await asyncio.sleep(POLL_S)

    def hearings(self) -> list[Heard]:
        """Every prompt heard so far, in order; seconds from the start of the recording."""
        with contextlib.suppress(FileNotFoundError), self.recording_file.open("rb") as file:
            file.seek(self._read)
            new = file.read()
            self._read += len(new)
            self._listener.feed(new)
        return self._listener.heard()

    @property
    def recording(self) -> bytes:
        """A-law, 8 kHz: all that was heard so far."""
        return self.recording_file.read_bytes() if self.recording_file.exists() else b""

    def moment(self, recorded_s: float) -> float:
        """The moment of a place in the recording."""
        return (self.hearing_at or 0.0) + recorded_s

    @property
    def answer_ms(self) -> float:
        """INVITE → 200."""
        return ((self.answered_at or 0.0) - (self.dialled_at or 0.0)) * 1000

    @property
    def first_sound_ms(self) -> float:
        """200 → first audio that is not silence."""
        return ((self.sound_at or 0.0) - (self.answered_at or 0.0)) * 1000

    def key_to_prompt_ms(self) -> list[float]:
        """For each key: from the moment it went down to the next prompt's first byte (the key's own length counts)."""
        starts = [self.moment(one.started_s) for one in self.hearings()]
        return [
            (min(later) - pressed) * 1000
            for pressed, _ in self.keys
            if (later := [start for start in starts if start > pressed])
        ]

    def same(self, key: str) -> str:
        """The name under which `key` is heard: two keys with the same audio cannot be told apart."""
        return self._caller.index.same(key)

    # --- events

    async def happened(self, event: str, at: float, fields: dict[str, Any]) -> None:
        match event:
            case "dialled":
                self.dialled_at = at
            case "answered":
                self.answered_at = at
            case "hearing":
                self.hearing_at = at
            case "sound":
                self.sound_at = at
            case "key":
                self.keys.append((at, fields["key"]))
            case "ended":
                self.ended_at, self.code, self.reason = at, fields["code"], fields["reason"]
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, test: Any, timeout_s: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(test)
        except TimeoutError:
            raise CallerError(f"call {self.id}: {otherwise} after {timeout_s} s") from None


class Caller:
    """A phone on this machine: dials into the trunk, and can register as an attendant's extension."""

    def __init__(
        self,
        sip_port: int,
        *,
        sip_host: str = "127.0.0.1",
        index: Fingerprints | None = None,
        folder: Path | None = None,
    ) -> None:
        self.index = index or Fingerprints({})
        self.calls: dict[str, Call] = {}
        self.errors: list[str] = []
        self.port = 0  # its own SIP port
        self._target = (sip_host, sip_port)
        self._folder = folder
        self._numbers = count(1)
        self._ringing: asyncio.Queue[Call] = asyncio.Queue()
        self._registered: dict[str, asyncio.Future[int]] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="prosa-call-")))
        self._process = await self._stack.enter_async_context(_softphone(*self._target))
        first = await asyncio.wait_for(self._stdout.readline(), 10)
        if not first:
            raise CallerError("the softphone did not start; is pjsua2-python installed? (requirements/caller.txt)")
        self.port = json.loads(first)["port"]
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tell(do="quit")
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
        await self._reader
        await self._stack.aclose()

    async def dial(self, number: str, *, from_: str = "+5511987654321", name: str = "") -> Call:
        """`from_`: any number, through the trunk, or the user that this phone has registered as."""
        if sum(call.ended_at is None for call in self.calls.values()) >= LINES:
            raise CallerError(f"a phone has {LINES} lines; use another Caller")
        call = self._new_call(f"out{next(self._numbers)}")
        self.tell(do="dial", call=call.id, number=number, caller=from_, name=name, record=str(call.recording_file))
        return call

    async def register(self, user: str, password: str, *, timeout_s: float = 5) -> None:
        """Become the extension `user`; raises CallerError when Asterisk refuses."""
        self._registered[user] = asyncio.get_running_loop().create_future()
        self.tell(do="register", user=user, password=password)
        code = await asyncio.wait_for(self._registered[user], timeout_s)
        if code != 200:
            raise CallerError(f"{user} could not register: {code}")

    async def incoming(self, timeout_s: float = 15) -> Call:
        """The next call that rings here; `answer()` takes it."""
        try:
            return await asyncio.wait_for(self._ringing.get(), timeout_s)
        except TimeoutError:
            raise CallerError(f"nobody rang in {timeout_s} s") from None

    def tell(self, **command: Any) -> None:
        if self._process.returncode is None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

    def _new_call(self, call_id: str, remote: str = "") -> Call:
        assert self._folder is not None
        self.calls[call_id] = call = Call(self, call_id, self._folder / f"{self._process.pid}-{call_id}.alaw", remote)
        return call

    @property
    def _stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    async def _read(self) -> None:
        while line := await self._stdout.readline():
            fields = json.loads(line)
            event, at = fields.pop("event"), fields.pop("at")
            match event:
                case "registered":
                    waiting = self._registered.get(fields["user"])
                    if waiting is not None and not waiting.done():
                        waiting.set_result(fields["code"])
                case "incoming":
                    call = self._new_call(fields["call"], fields["caller"])
                    call.dialled_at = at
                    self._ringing.put_nowait(call)
                case "error":
                    self.errors.append(f"{fields['do']}: {fields['message']}")
                case _:
                    await self.calls[fields["call"]].happened(event, at, fields)
        for call in self.calls.values():
            if call.ended_at is None:
                await call.happened("ended", time.monotonic(), {"code": 0, "reason": "the softphone is gone"})


@contextlib.asynccontextmanager
async def _softphone(host: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        *("-m", "prosa.softphone", host, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
