"""The SIP phone behind `prosa.caller`: a program of its own, because PJSIP is GPL and the product is not.

Reads one JSON command a line on standard input, writes one JSON event a line on standard output:

    commands  dial, answer, press, play, hang_up, register, quit       (`do`; `call` names the call)
    events    ready, dialled, ringing, answered, hearing, sound, key, ended, incoming, registered, error
              (`event`; `at` is CLOCK_MONOTONIC, which all processes of one machine share)

What a call hears is appended to the file named in `record`, 20 ms at a time: A-law, 8 kHz, no header. PJSIP decodes
the trunk's A-law to linear and we encode it again, which gives the same bytes.
"""

import ctypes
import heapq
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pjsua2 as pj

FRAME = 160  # samples in 20 ms
SILENCE = bytes([0xD5]) * FRAME
SOUND_LEVEL = 400  # of 32768: comfort noise and the codec's own zero stay below
PR_SET_PDEATHSIG = 1
EVENTS = os.dup(1) if __name__ == "__main__" else 1  # PJSIP prints to 1 before its log level is set


def _alaw_tables() -> tuple[np.ndarray[Any, np.dtype[np.int16]], np.ndarray[Any, np.dtype[np.uint8]]]:
    """G.711: what each byte means, and the nearest byte of each 16-bit sample."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    linear = np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
    order = np.argsort(linear, kind="stable")
    levels = linear[order].astype(np.int32)
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    right = np.clip(np.searchsorted(levels, samples), 1, 255)
    nearest = np.where(samples - levels[right - 1] <= levels[right] - samples, right - 1, right)
    return linear, order[nearest].astype(np.uint8)


LINEAR_OF, ALAW_OF = _alaw_tables()


def say(event: str, **fields: Any) -> None:
    line = json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n"
    os.write(EVENTS, line.encode())


class Ear(pj.AudioMediaPort):  # type: ignore[misc]  # pjsua2 has no types
    """Writes what the call hears to its file. PJSIP calls it every 20 ms, from its own clock."""

    def __init__(self, call_id: str, path: str) -> None:
        super().__init__()
        self.call_id = call_id
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.frames = 0
        self.heard_sound = False
        self.createPort(f"ear-{call_id}", _format())

    def onFrameReceived(self, frame: Any) -> None:
        samples = np.frombuffer(bytes(frame.buf), dtype=np.uint16) if frame.size else np.empty(0, np.uint16)
        if not self.frames:
            say("hearing", call=self.call_id)
        self.frames += 1
        if samples.size != FRAME:
            os.write(self.file, SILENCE)
            return
        os.write(self.file, ALAW_OF[samples].tobytes())
        if not self.heard_sound and np.abs(samples.view(np.int16).astype(np.int32)).max() > SOUND_LEVEL:
            self.heard_sound = True
            say("sound", call=self.call_id)


class Mouth(pj.AudioMediaPort):  # type: ignore[misc]  # pjsua2 has no types
    """Says a file of A-law into the call, once."""

    def __init__(self, call_id: str, path: str) -> None:
        super().__init__()
        audio = np.frombuffer(Path(path).read_bytes(), dtype=np.uint8)
        self.pcm = LINEAR_OF[audio].tobytes()
        self.position = 0
        self.createPort(f"mouth-{call_id}-{id(self)}", _format())

    def onFrameRequested(self, frame: Any) -> None:
        part = self.pcm[self.position : self.position + 2 * FRAME].ljust(2 * FRAME, b"\0")
        self.position += 2 * FRAME
        frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO
        frame.buf.clear()
        frame.buf.assign(2 * FRAME, 0)
        for place, byte in enumerate(part):
            frame.buf[place] = byte


def _format() -> Any:
    form = pj.MediaFormatAudio()
    form.init(pj.PJMEDIA_FORMAT_PCM, 8000, 1, 20000, 16)
    return form


class PhoneCall(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    def __init__(self, phone: "Phone", account: Any, call_id: str, record: str, sip_id: int = -1) -> None:
        super().__init__(account, sip_id)
        self.phone, self.call_id, self.record = phone, call_id, record
        self.ear: Ear | None = None
        self.mouths: list[Mouth] = []

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            say("ringing", call=self.call_id, code=int(info.lastStatusCode))
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            say("answered", call=self.call_id)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            say("ended", call=self.call_id, code=int(info.lastStatusCode), reason=str(info.lastReason))
            self.phone.forget(self)

    def onCallMediaState(self, prm: Any) -> None:
        audio = self.audio()
        if audio is not None and self.ear is None and self.record:
            self.ear = Ear(self.call_id, self.record)
            audio.startTransmit(self.ear)

    def audio(self) -> Any | None:
        info = self.getInfo()  # kept in a name: its media list is freed with it
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                return self.getAudioMedia(media.index)
        return None


class PhoneAccount(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
    def __init__(self, phone: "Phone", user: str) -> None:
        super().__init__()
        self.phone, self.user = phone, user

    def onRegState(self, prm: Any) -> None:
        say("registered", user=self.user, code=int(prm.code), expires=int(prm.expiration))

    def onIncomingCall(self, prm: Any) -> None:
        call = PhoneCall(self.phone, self, f"in{next(self.phone.numbers)}", "", prm.callId)
        self.phone.calls[call.call_id] = call
        say("incoming", call=call.call_id, user=self.user, caller=str(call.getInfo().remoteUri))


class Phone:
    def __init__(self, sip_host: str, sip_port: int) -> None:
        self.target = f"{sip_host}:{sip_port}"
        self.numbers = count(1)
        self.calls: dict[str, PhoneCall] = {}
        self.gone: list[PhoneCall] = []
        self.accounts: list[PhoneAccount] = []
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self.running = True
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(_endpoint_config())
        transport = pj.TransportConfig()
        transport.port, transport.boundAddress = 0, "127.0.0.1"
        number = self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA") else 0)
        address = str(self.endpoint.transportGetInfo(number).localAddress)
        self.port = int(address.rpartition(":")[2])
        self.trunk = self._account("", "", "")

    def _account(self, user: str, password: str, registrar: str) -> PhoneAccount:
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@{registrar}" if user else f"sip:caller@127.0.0.1:{self.port}"
        config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        config.mediaConfig.transportConfig.port = 30000 + os.getpid() % 500 * 64
        config.mediaConfig.transportConfig.portRange = 512
        config.mediaConfig.streamKaEnabled = False
        if user:
            config.regConfig.registrarUri = f"sip:{registrar}"
            config.regConfig.timeoutSec = 300
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        account = PhoneAccount(self, user)
        account.create(config)
        self.accounts.append(account)
        return account

    def run(self) -> None:
        say("ready", port=self.port)
        os.set_blocking(0, False)
        pending = b""
        while self.running:
            self.endpoint.libHandleEvents(5)
            self.gone.clear()
            while self.later and self.later[0][0] <= time.monotonic():
                heapq.heappop(self.later)[2]()
            try:
                read = os.read(0, 65536)
            except BlockingIOError:
                continue
            if not read:
                break
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                self.obey(json.loads(line))

    def obey(self, command: dict[str, Any]) -> None:
        do = command.pop("do")
        try:
            if do == "quit":
                self.running = False
            elif do == "dial":
                self.dial(**command)
            elif do == "register":
                self._account(command["user"], command["password"], self.target)
            elif command["call"] in self.calls:
                call = self.calls[command.pop("call")]
                verbs: dict[str, Callable[..., None]] = {
                    "press": self.press,
                    "play": self.play,
                    "hang_up": self.hang_up,
                    "answer": self.answer,
                }
                verbs[do](call, **command)
        except pj.Error as error:
            say("error", do=do, call=command.get("call", ""), message=str(error.info()))

    def dial(self, call: str, number: str, caller: str, name: str = "", record: str = "") -> None:
        account = next((each for each in self.accounts if each.user and each.user == caller), self.trunk)
        outgoing = PhoneCall(self, account, call, record)
        self.calls[call] = outgoing
        param = pj.CallOpParam(True)
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        display = f'"{quoted}" ' if name else ""
        if account is self.trunk:
            param.txOption.localUri = f"{display}<sip:{caller or 'anonymous'}@127.0.0.1:{self.port}>"
        say("dialled", call=call)
        try:
            outgoing.makeCall(f"sip:{number}@{self.target}", param)
        except pj.Error as error:
            self.forget(outgoing)
            say("ended", call=call, code=0, reason=str(error.info()))

    def answer(self, call: PhoneCall, record: str = "", code: int = 200) -> None:
        call.record = record
        param = pj.CallOpParam(True)
        param.statusCode = code
        call.answer(param)

    def press(self, call: PhoneCall, keys: str, hold_ms: int = 100, gap_ms: int = 100) -> None:
        """One key after another; the `key` event is sent when the key goes down."""
        for place, key in enumerate(keys):
            when = time.monotonic() + place * (hold_ms + gap_ms) / 1000
            # By its id: PJSIP hangs up whatever call has this one's number by then, when the object is freed late.
            down: Callable[[], None] = partial(self._press_one, call.call_id, key, hold_ms)
            heapq.heappush(self.later, (when, next(self.numbers), down))

    def _press_one(self, call_id: str, key: str, hold_ms: int) -> None:
        call = self.calls.get(call_id)
        if call is None:
            return
        param = pj.CallSendDtmfParam()
        param.method, param.digits, param.duration = pj.PJSUA_DTMF_METHOD_RFC2833, key, hold_ms
        try:
            call.sendDtmf(param)
        except pj.Error as error:
            say("error", do="press", call=call_id, message=str(error.info()))
            return
        say("key", call=call_id, key=key, hold_ms=hold_ms)

    def play(self, call: PhoneCall, file: str) -> None:
        audio = call.audio()
        if audio is not None:
            mouth = Mouth(call.call_id, file)
            call.mouths.append(mouth)
            mouth.startTransmit(audio)

    def hang_up(self, call: PhoneCall) -> None:
        call.hangup(pj.CallOpParam(True))

    def forget(self, call: PhoneCall) -> None:
        """Kept until the callback that is running has returned: PJSIP still uses the object."""
        self.calls.pop(call.call_id, None)
        self.gone.append(call)

    def close(self) -> None:
        self.endpoint.hangupAllCalls()
        deadline = time.monotonic() + 1
        while self.calls and time.monotonic() < deadline:
            self.endpoint.libHandleEvents(10)
        for account in self.accounts:
            account.shutdown()
        for _ in range(10 if len(self.accounts) > 1 else 0):  # lets an extension take its registration back
            self.endpoint.libHandleEvents(10)


def _endpoint_config() -> Any:
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.uaConfig.maxCalls, config.uaConfig.userAgent = 4, "prosa-call"
    media = config.medConfig
    media.noVad, media.ecTailLen = True, 0
    media.clockRate = media.sndClockRate = 8000
    media.channelCount, media.audioFramePtime, media.ptime = 1, 20, 20
    media.maxMediaPorts = 128
    return config


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started us; it tells us to quit
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)
    phone = Phone(sys.argv[1], int(sys.argv[2]))
    phone.run()
    phone.close()
    os._exit(0)  # libDestroy waits a second, and the bindings' destructors run in an order PJSIP does not survive


if __name__ == "__main__":
    main()
