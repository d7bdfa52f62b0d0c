"""gTTS 2.5 as it is installed: what ura/adapters/tts.py relies on. Red here: a release changed it; read its changes."""

import base64
import inspect
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gtts
import gtts.tts
import numpy as np
import pytest
import soundfile

from ura.adapters import tts


class FakeGoogle(ThreadingHTTPServer):
    """Answers as Google's batchexecute does, or as told: `status`, `body`, or `hangs` until it is closed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.body, self.hangs, self.trickles = 200, answer(mp3(0.5)), False, False
        self.closing = threading.Event()
        self.texts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Answer(BaseHTTPRequestHandler):
    server: FakeGoogle

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.texts += 1
        if self.server.hangs:
            self.server.closing.wait(10)
            return
        self.send_response(self.server.status)
        self.end_headers()
        if self.server.trickles:
            while not self.server.closing.wait(0.05):
                self.wfile.write(b"x")
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def mp3(seconds: float) -> bytes:
    samples = 0.3 * np.sin(np.arange(int(24_000 * seconds)) * 0.1)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 24_000, format="MP3")
    return buffer.getvalue()


def answer(audio: bytes) -> bytes:
    return b')]}\'\n[["wrb.fr","jQ1olc","[\\"' + base64.b64encode(audio) + b'\\"]",null]]\n'


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    server = FakeGoogle()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(gtts.tts, "_translate_url", lambda tld="com", path="": server.url + path)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def engine(**limits: float) -> tts.Gtts:
    return tts.Gtts(pace_s=0.0, **limits)


def test_the_interface_is_the_one_we_call() -> None:
    parameters = inspect.signature(gtts.gTTS).parameters
    assert {"text", "lang", "tld", "lang_check", "timeout"} <= parameters.keys()
    assert inspect.isgeneratorfunction(gtts.gTTS.stream), "requests are sent as the parts are asked for: we pace them"
    assert gtts.gTTS.GOOGLE_TTS_MAX_CHARS == 100
    assert issubclass(gtts.gTTSError, Exception)


def test_a_text_becomes_samples(google: FakeGoogle) -> None:
    samples, rate = engine().synthesise(tts.Line("a", "Olá, tudo bem?"))
    assert rate == 24_000
    assert 0.4 < len(samples) / rate < 0.7
    assert float(np.abs(samples).max()) > 0.1


def test_a_long_text_is_several_requests_each_a_second_after_the_last(google: FakeGoogle) -> None:
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    spoken = tts.Gtts(pace_s=1.0, clock=lambda: now[0], sleep=sleep)
    spoken.synthesise(tts.Line("a", "Uma frase com palavras. " * 10))
    assert google.texts >= 3
    assert len(waits) >= google.texts - 1
    assert set(waits) == {1.0}


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_a_refusal_is_a_failed_engine(google: FakeGoogle, status: int) -> None:
    google.status = status
    with pytest.raises(tts.EngineFailed, match=str(status)):
        engine().synthesise(tts.Line("a", "Olá"))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", answer(b"no mp3"), b'"jQ1olc","[\\"%%%\\"]', b'"jQ1olc",null', b"\xff\xfe\n"]
)
def test_an_answer_without_audio_is_a_failed_engine(google: FakeGoogle, body: bytes) -> None:
    google.body = body
    with pytest.raises(tts.EngineFailed):
        engine().synthesise(tts.Line("a", "Olá"))


def test_no_answer_is_given_up(google: FakeGoogle) -> None:
    google.hangs = True
    with pytest.raises(tts.EngineFailed, match=r"gTTSError"):
        engine(answer_timeout_s=0.2).synthesise(tts.Line("a", "Olá"))


def test_an_answer_that_trickles_in_is_given_up_at_the_deadline(google: FakeGoogle) -> None:
    """requests' own timeout starts anew with every byte."""
    google.trickles = True
    with pytest.raises(tts.EngineFailed, match=r"0\.3 s"):
        engine(answer_timeout_s=5, deadline_s=0.3).synthesise(tts.Line("a", "Olá"))


def test_nobody_there_is_a_failed_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gtts.tts, "_translate_url", lambda tld="com", path="": "http://127.0.0.1:9/" + path)
    with pytest.raises(tts.EngineFailed, match="Failed to connect"):
        engine().synthesise(tts.Line("a", "Olá"))


@pytest.mark.parametrize("text", ["", " ", "...", "?!"])
def test_a_text_without_words_is_a_failed_engine_and_no_request(google: FakeGoogle, text: str) -> None:
    google.body = b""
    with pytest.raises(tts.EngineFailed):
        engine().synthesise(tts.Line("a", text))
