"""One real call, told as it happens: `prosa call`, and the call that `prosa run` makes to itself."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prosa.caller import Call, Caller, CallerError
from prosa.heard import Fingerprints, Heard
from ura import prompts
from ura.errors import UraError
from ura.settings import Settings

Say = Callable[[str], None]

POLL_S = 0.1
ANSWER_WAIT_S = 5.0
PROMPT_WAIT_S = 12.0  # for something new to be heard before the next key
LISTEN_FIRST_S = 1.0  # a person does not press in the first instant
QUIET_S = 4.0  # nothing known heard for so long after a whole prompt: it waits for us
SHOWN_TEXT = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    answered: bool
    code: int
    reason: str
    answer_ms: float
    first_sound_ms: float
    heard: tuple[Heard, ...]

    @property
    def line(self) -> str:
        if not self.answered:
            return f"not answered: {self.code} {self.reason}" if self.code else "not answered"
        sound = f"first sound {self.first_sound_ms:.0f} ms later" if self.first_sound_ms > 0 else "nothing was heard"
        return f"answered in {self.answer_ms:.0f} ms, {sound}; ended with {self.code} {self.reason}"


def fingerprints(settings: Settings) -> Fingerprints:
    return Fingerprints.of_folders(settings.prompts_dir / "audio", settings.rendered_dir)


def texts(settings: Settings) -> dict[str, str]:
    """What each shipped prompt says. With a damaged catalogue keys are shown instead: a call is still a call."""
    try:
        return prompts.load_all(settings.prompts_dir)
    except (UraError, OSError):
        return {}


class _Teller:
    """Says each prompt and each key once, in order, with the second it began; a prompt when it is over."""

    def __init__(self, call: Call, known: dict[str, str], say: Say) -> None:
        self._call, self._known, self._say, self._told = call, known, say, 0

    def tell(self, *, last: bool = False) -> None:
        happened: list[tuple[float, Heard | str]] = [*self._call.keys]
        happened.extend((self._call.moment(one.started_s), one) for one in self._call.hearings())
        happened.sort(key=lambda each: each[0])
        for place in range(self._told, len(happened)):
            moment, what = happened[place]
            is_over = isinstance(what, str) or what.complete or place < len(happened) - 1
            if not (last or is_over):
                break
            second = moment - (self._call.answered_at or 0.0)
            self._say(f"{second:6.1f} s  {f'key {what}' if isinstance(what, str) else self._line(what)}")
            self._told = place + 1

    def _line(self, heard: Heard) -> str:
        text = self._known.get(heard.key, "")
        if len(text) > SHOWN_TEXT:
            text = text[: SHOWN_TEXT - 1].rstrip() + "…"
        return f"{heard.key:<28} {text}{'' if heard.complete else '  [cut]'}"


async def place(
    settings: Settings,
    number: str,
    *,
    say: Say,
    keys: Sequence[str] = (),
    from_: str = "+5511987654321",
    listen_s: float = 30.0,
    until: str = "",
) -> Outcome:
    """Dial, press each group of keys when something new is heard, listen, hang up; `until` a prompt has begun.

    Raises CallerError when the phone itself does not work.
    """
    index = await asyncio.to_thread(fingerprints, settings)
    host = "127.0.0.1" if settings.sip_host in ("0.0.0.0", "::") else settings.sip_host  # noqa: S104 - compared only
    async with Caller(settings.sip_port, sip_host=host, index=index) as caller:
        call = await caller.dial(number, from_=from_)
        try:
            await call.answered(ANSWER_WAIT_S)
        except CallerError:
            return _outcome(call)
        teller = _Teller(call, texts(settings), say)
        for group in keys:
            await _something_new(call, teller)
            if call.ended_at is not None:
                break
            await call.press(group)
        await _listen(call, teller, listen_s, until)
        if call.ended_at is None:
            await call.hang_up()
        teller.tell(last=True)
        return _outcome(call)


async def _something_new(call: Call, teller: _Teller) -> None:
    """Return when a prompt that began after the last key has been heard for a moment, or it does not come."""
    since = call.keys[-1][0] if call.keys else 0.0
    deadline = time.monotonic() + PROMPT_WAIT_S
    while call.ended_at is None and time.monotonic() < deadline:
        teller.tell()
        new = [one for one in call.hearings() if call.moment(one.started_s) > since]
        if new and time.monotonic() - call.moment(new[0].started_s) > LISTEN_FIRST_S:
            return
        await asyncio.sleep(POLL_S)


async def _listen(call: Call, teller: _Teller, listen_s: float, until: str) -> None:
    deadline = time.monotonic() + listen_s
    while call.ended_at is None and time.monotonic() < deadline:
        teller.tell()
        heard = call.hearings()
        if any(one.key == call.same(until) and one.ended_s - one.started_s > LISTEN_FIRST_S for one in heard):
            return
        if heard and heard[-1].complete and time.monotonic() - call.moment(heard[-1].ended_s) > QUIET_S:
            return
        await asyncio.sleep(POLL_S)


def _outcome(call: Call) -> Outcome:
    return Outcome(
        answered=call.answered_at is not None,
        code=call.code,
        reason=call.reason,
        answer_ms=call.answer_ms,
        first_sound_ms=call.first_sound_ms,
        heard=tuple(call.hearings()),
    )
