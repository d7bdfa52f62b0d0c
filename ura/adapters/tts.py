"""The engines that speak a text: a person's recording, Google (gTTS), Kokoro, espeak-ng.

Tried in the order of the settings. Each has a deadline for a text; one that fails is left out for a while, so that a
dead one costs seconds and not hours. Always ahead, when a text is saved or published: never inside a call.
"""

import base64
import hashlib
import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gtts
import numpy as np
import structlog

from ura.adapters.audio import Samples, decode
from ura.errors import BadInput, Unavailable
from ura.settings import ROOT, Settings

log = structlog.get_logger(__name__)

RECORDING_ENDINGS = (".wav", ".mp3", ".ogg", ".flac")
MODEL_FILE, VOICES_FILE = "kokoro-v1.0.int8.onnx", "voices.npz"
KOKORO_VOICE = "pf_dora"


class EngineFailed(Unavailable):
    """This engine cannot speak this text now; the next one is tried."""

    code = "speech-engine-failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One text to be spoken. `key` finds a person's recording of it."""

    key: str
    text: str
    speed: float = 1.0


class Engine(Protocol):
    @property
    def name(self) -> str: ...
    def voice(self, line: Line) -> str:
        """Which voice would speak it; "" when this engine has nothing to do with it."""
        ...

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        """Samples (mono, −1…1) and their rate. Raises EngineFailed within the engine's deadline."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a person recorded, in prompts/recorded/<key>.wav, .mp3, .ogg or .flac."""

    folder: Path
    name: str = "recorded"

    def find(self, key: str) -> Path | None:
        return next((file for end in RECORDING_ENDINGS if (file := self.folder / f"{key}{end}").is_file()), None)

    def voice(self, line: Line) -> str:
        """The recording's own hash: a new recording of the same sentence is another voice."""
        file = self.find(line.key)
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file else ""

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        file = self.find(line.key)
        if file is None:
            raise EngineFailed(f"There is no recording of {line.key}.")
        try:
            samples, rate = decode(file)
        except BadInput as error:
            raise EngineFailed(f"{file.name}: {error}") from error
        if not 0.2 <= len(samples) / rate <= 120:
            raise EngineFailed(f"{file.name}: {len(samples) / rate:.1f} s long; a prompt has 0.2 to 120 s.")
        if float(np.abs(samples).max()) < 0.01:
            raise EngineFailed(f"{file.name}: it is nearly silent. Record it again, closer to the microphone.")
        return samples, rate

    def close(self) -> None:
        """Nothing is held."""


class Gtts:
    """Google's voice, over the Internet. One request a second: the author warns of blocks. Never personal data."""

    name = "gtts"

    def __init__(
        self,
        *,
        pace_s: float = 1.0,
        answer_timeout_s: float = 8.0,
        deadline_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pace_s, self._answer_timeout_s, self._deadline_s = pace_s, answer_timeout_s, deadline_s
        self._clock, self._sleep = clock, sleep
        self._next = clock()

    def voice(self, line: Line) -> str:
        return "pt-com.br"

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        try:
            return decode(_within(self._deadline_s, lambda: self._fetch(line.text)))
        # gTTS leaks what it is built on: AssertionError for a text without words, requests' and urllib3's own errors,
        # ValueError for an answer that is no base64. None of them may stop a build.
        except Exception as error:
            raise EngineFailed(f"gTTS: {type(error).__name__}: {error}") from error

    def _fetch(self, text: str) -> bytes:
        timeout_s = (3.05, self._answer_timeout_s)
        spoken = gtts.gTTS(text, lang="pt", tld="com.br", lang_check=False, timeout=timeout_s)
        return b"".join(self._paced(spoken.stream()))

    def _paced(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """One HTTP request for each part (100 letters); none sooner than `pace_s` after the last."""
        while True:
            if (wait := self._next - self._clock()) > 0:
                self._sleep(wait)
            self._next = self._clock() + self._pace_s
            try:
                yield next(parts)
            except StopIteration:
                return

    def close(self) -> None:
        """Nothing is held between texts."""


def _within(seconds: float, work: Callable[[], bytes]) -> bytes:
    """The result of `work`, or TimeoutError: gTTS's own limit starts anew with every byte that trickles in."""
    done: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:
            done.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        result = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


class Kokoro:
    """Kokoro-82M in its own process (GPL behind it; it also takes 400 MB that we want back)."""

    name = "kokoro"

    def __init__(self, folder: Path, *, timeout_s: float = 60.0, command: Sequence[str] | None = None) -> None:
        self._folder, self._timeout_s = folder, timeout_s
        files = [str(folder / MODEL_FILE), str(folder / VOICES_FILE)]
        self._command = list(command or [sys.executable, "-m", "ura.adapters.kokoro_process", *files])
        self._needs_files = command is None
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def voice(self, line: Line) -> str:
        return KOKORO_VOICE

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        answer = self._ask({"text": line.text, "voice": KOKORO_VOICE, "speed": line.speed})
        if "error" in answer:
            raise EngineFailed(f"Kokoro: {answer['error']}")
        samples = np.frombuffer(base64.b64decode(answer["samples"]), dtype="<f4").astype(np.float32)
        return samples, int(answer["rate"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return self._answer()
        except OSError as error:
            self.close()
            raise EngineFailed(f"The Kokoro process has ended: {error}") from error

    def _running(self) -> subprocess.Popen[str]:
        if self._process and self._process.poll() is None:
            return self._process
        if self._needs_files and not all((self._folder / name).is_file() for name in (MODEL_FILE, VOICES_FILE)):
            raise EngineFailed("The Kokoro voice is not installed. Install it: prosa voices install")
        self._answers = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise EngineFailed(f"The Kokoro process did not start: {error}") from error
        threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True).start()
        if not self._answer().get("ready"):
            self.close()
            raise EngineFailed("The Kokoro process did not start as expected.")
        return self._process

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
        assert process.stdout is not None
        with suppress(ValueError, OSError):  # closed under our feet by close()
            for line in process.stdout:
                answers.put(line)
        answers.put("")

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=self._timeout_s)
            answer = json.loads(line) if line else {}
        except (queue.Empty, ValueError) as error:
            self.close()
            raise EngineFailed(f"Kokoro gave no answer in {self._timeout_s:g} s.") from error
        if not isinstance(answer, dict) or not answer:
            self.close()
            raise EngineFailed("The Kokoro process has ended. Is it installed? prosa voices install")
        return answer

    def close(self) -> None:
        if process := self._process:
            self._process = None
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    with suppress(OSError):
                        pipe.close()
            process.wait()


class Espeak:
    """espeak-ng, from the distribution: robotic, instant, needs nothing. GPL, so only ever as a program."""

    name = "espeak"

    def __init__(self, *, program: str = "espeak-ng", timeout_s: float = 10.0) -> None:
        self._program, self._timeout_s = program, timeout_s

    def voice(self, line: Line) -> str:
        return "pt-br"

    def synthesise(self, line: Line) -> tuple[Samples, int]:
        program = shutil.which(self._program)
        if not program:
            raise EngineFailed("espeak-ng is not installed. Install it: apt-get install espeak-ng")
        words_a_minute = str(round(155 * line.speed))
        try:
            done = subprocess.run(  # noqa: S603 - the text goes by standard input, never into the command
                [program, "-v", "pt-br", "-s", words_a_minute, "--stdin", "--stdout"],
                input=line.text.encode(),
                capture_output=True,
                timeout=self._timeout_s,
                check=True,
            )
            return decode(_with_real_length(done.stdout))
        except (subprocess.SubprocessError, OSError, BadInput) as error:
            raise EngineFailed(f"espeak-ng: {error}") from error

    def close(self) -> None:
        """It runs for one text only."""


def _with_real_length(wav: bytes) -> bytes:
    """espeak-ng writes to a pipe, where it cannot go back: the lengths in its header are 0x7fffffxx."""
    at = wav.find(b"data")
    if at < 0:
        return wav
    body = wav[at + 8 :]
    return wav[:4] + (at + len(body)).to_bytes(4, "little") + wav[8 : at + 4] + len(body).to_bytes(4, "little") + body


@dataclass(frozen=True, slots=True)
class Spoken:
    samples: Samples
    rate: int
    engine: str
    voice: str


class Voice:
    """The engines in order, as one. An engine that failed `patience` times in a row rests for `rest_s`."""

    def __init__(
        self,
        engines: Sequence[Engine],
        *,
        patience: int = 2,
        rest_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engines = tuple(engines)
        self._patience, self._rest_s, self._clock = patience, rest_s, clock
        self._failures: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}

    def preferring(self, name: str) -> "Voice":
        """The same engines, with this one before all but a person's recordings."""
        order = sorted(self.engines, key=lambda engine: (engine.name != "recorded", engine.name != name))
        return Voice(order, patience=self._patience, rest_s=self._rest_s, clock=self._clock)

    def synthesise(self, line: Line, *, among: Sequence[Engine] | None = None) -> Spoken:
        """Spoken by the first engine that can, of all or of those `among` them. Raises EngineFailed, with every
        reason, when none can."""
        reasons = []
        for engine in self.engines if among is None else among:
            voice = engine.voice(line)
            if not voice:
                continue
            if self._clock() < self._rests_until.get(engine.name, 0):
                reasons.append(f"{engine.name} rests after failing")
                continue
            try:
                samples, rate = engine.synthesise(line)
            except EngineFailed as error:
                reasons.append(str(error))
                self._failed(engine, line, error)
                continue
            self._failures[engine.name] = 0
            return Spoken(samples, rate, engine.name, voice)
        raise EngineFailed(f"No engine speaks {line.key}: {'; '.join(reasons) or 'none is configured'}.")

    def _failed(self, engine: Engine, line: Line, error: EngineFailed) -> None:
        failures = self._failures.get(engine.name, 0) + 1
        rests = failures >= self._patience and engine.name != "recorded"
        self._failures[engine.name] = 0 if rests else failures
        if rests:
            self._rests_until[engine.name] = self._clock() + self._rest_s
        log.warning(
            "speech_engine_failed", engine=engine.name, key=line.key, reason=str(error), rests_s=self._rest_s * rests
        )

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


def voice(settings: Settings, order: Sequence[str] | None = None) -> Voice:
    """The configured engines (`PROSA_TTS_ENGINES`), or those of `order`. Raises BadInput for an unknown one."""
    makers: dict[str, Callable[[], Engine]] = {
        "recorded": lambda: Recorded(settings.prompts_dir / "recorded"),
        "gtts": Gtts,
        "kokoro": lambda: Kokoro(settings.state_dir / "voices"),
        "espeak": Espeak,
    }
    names = [name.strip() for name in (order or settings.tts_engines.split(",")) if name.strip()]
    if unknown := [name for name in names if name not in makers]:
        raise BadInput(f"No such speech engine: {', '.join(unknown)}. There are: {', '.join(makers)}.")
    return Voice([makers[name]() for name in names])
