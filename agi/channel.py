"""The phone as the conductor sees it: play, collect, record. One AGI command an effect, any key cuts any prompt."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from agi.session import NotPlayed, Session, quote
from agi.sounds import SILENCE, Sound, Sounds
from ura.errors import HungUp
from ura.flows.channel import OneAfterTheOther, Recording

MARGIN_S = 5.0  # how much longer than it must a command may take before Asterisk counts as gone
RECORDING_RATE = 8000
RECORDING_SILENCE_S = 4
UNIVERSAL = ("0", "9", "*")  # what ura.flows.nodes.UniversalKeys can be
ALONE_S = 2.0  # so long one of them stays alone before it counts in a question for a number
NOTHING_TO_PLAY_S = 2.0  # never more silence than this, not even when every prompt is missing


class PhoneChannel(OneAfterTheOther):
    """`ura.flows.conduct.Channel` on one AGI session."""

    def __init__(self, session: Session, sounds: Sounds, recordings: Path) -> None:
        self._session = session
        self._sounds = sounds
        self._recordings = recordings

    async def play(self, prompts: Sequence[str]) -> str:
        """The key that cut it, or "". `#` cuts and is no key."""
        sound = self._sounds.sound(prompts)
        if sound is SILENCE:
            return ""
        keys, _ = await self._ask(sound, timeout_s=0.001, max_digits=1)
        return keys

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        """The keys, "" when there were none in time. A `#` ends; alone where one key is asked for, it is the key."""
        sound = self._sounds.sound(prompts)
        if sound is SILENCE and prompts:
            timeout_s = min(timeout_s, NOTHING_TO_PLAY_S)
        if sound.name and max_digits > 1:
            return await self._number(sound, timeout_s=timeout_s, max_digits=max_digits)
        keys, in_time = await self._ask(sound, timeout_s=timeout_s, max_digits=max_digits)
        return "#" if in_time and not keys and max_digits == 1 else keys

    async def play_on(
        self, prompts: Sequence[str], question: Sequence[str], *, timeout_s: float, heard: Callable[[], None]
    ) -> str:
        """Both in one command: between two, Asterisk throws keys away (res_agi.c 22, run_agi)."""
        sound, first_s = self._sounds.run_on(prompts, question)
        if not sound.name:
            return await super().play_on(prompts, question, timeout_s=timeout_s, heard=heard)
        end = _Once(heard)
        timer = asyncio.get_running_loop().call_later(first_s, end)
        try:
            keys, in_time = await self._get_data(sound, timeout_s=timeout_s, max_digits=1)
        except NotPlayed:
            self._sounds.forget(sound)
            return await super().play_on(prompts, question, timeout_s=timeout_s, heard=end)
        finally:
            timer.cancel()
        if keys or end.done:
            return "#" if in_time and not keys else keys
        end()
        return await self.collect(question, max_digits=1, timeout_s=timeout_s) if in_time else ""

    async def listen(self, seconds: float) -> str:
        """The key pressed in that time, `#` too; "" when there was none."""
        return await self.collect((), max_digits=1, timeout_s=seconds)

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        """Record `<recording_id>.wav`. A caller who hangs up after speaking has left a message: its length is returned,
        and the next command raises HungUp."""
        sound = self._sounds.sound([*prompts, *tone])
        if sound is not SILENCE:
            key, cut = await self._ask(sound, timeout_s=0.001, max_digits=1)
            if key and key in ends:
                return Recording(0.0, key)
            if cut and tone:  # who wants to speak at once hears when to
                await self.play(tone)
        # No beep argument: Asterisk's own beep file may not be there, and then it records nothing (res_agi.c 22).
        file, until = quote(self._recordings / recording_id), quote("#" + ends)
        args = (file, "wav", until, max_s * 1000, f"s={RECORDING_SILENCE_S}")
        key = ""
        try:
            reply = await self._session.run(self._session.execute, "RECORD FILE", *args, timeout_s=max_s + MARGIN_S)
            code, why = reply["result"]
            key = chr(int(code)) if why == "dtmf" else ""
        except HungUp:
            if not self._session.recorded():
                raise
        except NotPlayed:
            return Recording(0.0)
        return Recording(self._session.recorded() / RECORDING_RATE, key if key in ends else "")

    async def _number(self, sound: Sound, *, timeout_s: float, max_digits: int) -> str:
        """The keys of a number. A universal key acts when it stays alone for a moment, for a CPF may begin with a nine;
        other digits may be as far apart as they like within `timeout_s`. No key is lost between the two commands: the
        second comes only after a pause."""
        for name, seconds in (("response", timeout_s), ("digit", min(ALONE_S, timeout_s))):
            await self._session.run(self._session.set_variable, f"TIMEOUT({name})", f"{seconds:g}")
        try:
            keys, in_time = await self._get_data(sound, timeout_s=timeout_s, max_digits=max_digits, set_before=True)
        except NotPlayed:
            self._sounds.forget(sound)
            keys, _ = await self._ask_pieces(sound, timeout_s=timeout_s, max_digits=max_digits)
            return keys
        rest_s = timeout_s - ALONE_S
        if in_time or not keys or len(keys) == max_digits or keys in UNIVERSAL or rest_s <= 0:
            return keys
        more, _ = await self._get_data(SILENCE, timeout_s=rest_s, max_digits=max_digits - len(keys))
        return keys + more

    async def _ask(self, sound: Sound, *, timeout_s: float, max_digits: int) -> tuple[str, bool]:
        """Keys, and whether the caller ended them before the time ran out."""
        if sound.pieces and not sound.name:
            return await self._ask_pieces(sound, timeout_s=timeout_s, max_digits=max_digits)
        try:
            return await self._get_data(sound, timeout_s=timeout_s, max_digits=max_digits)
        except NotPlayed:
            self._sounds.forget(sound)
            return await self._ask_pieces(sound, timeout_s=timeout_s, max_digits=max_digits)

    async def _ask_pieces(self, sound: Sound, *, timeout_s: float, max_digits: int) -> tuple[str, bool]:
        """The long way, when the joined file cannot be played: one command a piece."""
        for name in sound.pieces:
            try:
                keys, in_time = await self._get_data(self._sounds.piece(name), timeout_s=0.001, max_digits=1)
            except NotPlayed:
                self._sounds.report(name)
                continue
            if keys or in_time:
                if max_digits == 1 or not keys:
                    return keys, in_time
                more, in_time = await self._get_data(SILENCE, timeout_s=timeout_s, max_digits=max_digits - 1)
                return keys + more, in_time
        wait_s = timeout_s if sound.pieces else min(timeout_s, NOTHING_TO_PLAY_S)
        return await self._get_data(SILENCE, timeout_s=wait_s, max_digits=max_digits)

    async def _get_data(
        self, sound: Sound, *, timeout_s: float, max_digits: int, set_before: bool = False
    ) -> tuple[str, bool]:
        """`set_before`: the waits are the channel's own TIMEOUTs (app.c 22, ast_app_getdata: those of 0 ms are)."""
        # Y:448: get_data() throws the "(timeout)" marker away, so ask through execute().
        reply = await self._session.run(
            self._session.execute,
            "GET DATA",
            quote(sound.name),
            0 if set_before else max(1, round(timeout_s * 1000)),
            max_digits,
            timeout_s=sound.seconds + timeout_s * max_digits + MARGIN_S,
        )
        return reply["result"][0], not self._session.timed_out()


class _Once:
    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.done = False

    def __call__(self) -> None:
        if not self.done:
            self.done = True
            self._call()
