"""A manager interface over loopback TCP, as Asterisk speaks it: logs in, pings, lists, tells events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Fields = dict[str, str]
SECRET = "a-secret"


def block(fields: Fields) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n"


@dataclass
class FakeAmi:
    lists: dict[str, list[Fields]] = field(default_factory=dict)  # action → its events
    asked: list[Fields] = field(default_factory=list)
    mute: set[str] = field(default_factory=set)  # actions that are never answered
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    port: int = 0
    log_ins: int = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FakeAmi"]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()
        self.cut()

    def tell(self, event: str, **fields: str) -> None:
        self.send(block({"Event": event, **fields}))

    def send(self, data: bytes) -> None:
        for writer in self.writers:
            writer.write(data)

    def cut(self) -> None:
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")).decode():
                fields = dict(line.split(": ", 1) for line in request.split("\r\n") if line)
                self.asked.append(fields)
                if fields["Action"] not in self.mute:
                    writer.write(
                        b"".join(block({**reply, "ActionID": fields["ActionID"]}) for reply in self._answer(fields))
                    )
                if fields["Action"] == "Login" and fields["Secret"] == SECRET:
                    self.log_ins += 1
                    self.writers.append(writer)
                    writer.write(block({"Event": "FullyBooted", "Status": "Fully Booted"}))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, fields: Fields) -> list[Fields]:
        action = fields["Action"]
        if action == "Login" and fields["Secret"] != SECRET:
            return [{"Response": "Error", "Message": "Authentication failed"}]
        if action in self.lists:
            start = {"Response": "Success", "EventList": "start", "Message": "will follow"}
            return [start, *self.lists[action], {"Event": f"{action}Complete", "EventList": "Complete"}]
        if action in ("Login", "Ping"):
            return [{"Response": "Success", "Message": "Authentication accepted"}]
        return [{"Response": "Error", "Message": "Permission denied"}]
