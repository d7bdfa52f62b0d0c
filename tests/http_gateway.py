"""A real HTTP server in threads of its own, that answers as a gateway would: right, slowly, wrongly, or never."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]  # names in small letters
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Said:
    """`body`: JSON, unless it is bytes. `after_s`: so long it thinks. `cut`: hangs up instead of answering."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    cut: bool = False


class HttpGateway:
    """`answer` may be changed at any time. `asked`: everything that came, in its order."""

    def __init__(self, answer: Callable[[Asked], Said] | None = None) -> None:
        self.answer: Callable[[Asked], Said] = answer or (lambda asked: Said())
        self.asked: list[Asked] = []
        self._closing = threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # who asked gave up in the middle of it
                    return
                names = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, names, body)
                gateway.asked.append(asked)
                said = gateway.answer(asked)
                gateway._closing.wait(said.after_s)
                if said.cut:
                    self.close_connection = True
                    return
                with suppress(ConnectionError):  # who asked has gone: that is what some tests are about
                    gateway._say(self, said)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def says(self, status: int = 200, body: Any = None, **more: Any) -> None:
        """The same answer to everything from now on."""
        said = Said(status, {} if body is None else body, **more)
        self.answer = lambda asked: said

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _say(handler: BaseHTTPRequestHandler, said: Said) -> None:
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        handler.send_response(said.status)
        for name, value in said.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
