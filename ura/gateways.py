"""What a gateway of messages is asked, and how it can answer. The adapters in ura/adapters speak to the real ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from ura.erp import SendChannel
from ura.models.outbox import Problem
from ura.settings import Settings


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, written. `id` is our own and the same at every try. `to`: E.164, or an e-mail address.

    `text` is the whole of it; gateways that send approved templates take `template` and `parameters` instead.
    """

    id: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    subject: str = ""
    template: str = ""
    parameters: tuple[str, ...] = field(default=(), repr=False)
    attachments: tuple[Attachment, ...] = ()


class NotTaken(Exception):
    """The gateway did not take the message. The words name neither address nor token: they are stored and shown."""


class NeverTaken(NotTaken):
    """It will not take this message at any time."""

    problem = Problem.REFUSED


class UnknownAddress(NeverTaken):
    """Nobody can be reached there on this channel: another address, or another channel, may do."""

    problem = Problem.UNKNOWN_ADDRESS


class TryLater(NotTaken):
    """No answer, too busy, or our account with the gateway is not in order (somebody can repair that).

    `after`: the gateway asked for this much time. `maybe_taken`: it may have the message nevertheless.
    """

    def __init__(self, message: str, *, after: timedelta | None = None, maybe_taken: bool = False) -> None:
        super().__init__(message)
        self.after = after
        self.maybe_taken = maybe_taken


OFFERED = (SendChannel.WHATSAPP, SendChannel.SMS, SendChannel.EMAIL)  # to a caller, in this order


def open_channels(settings: Settings) -> tuple[SendChannel, ...]:
    """The channels with a way out, in the order in which a caller is offered them; in development the demo inbox takes
    what has none."""
    if settings.environment == "development":
        return OFFERED
    ways = {
        SendChannel.WHATSAPP: bool(settings.whatsapp_token.get_secret_value()),
        SendChannel.SMS: bool(settings.sms_url or settings.zenvia_token.get_secret_value()),
        SendChannel.EMAIL: bool(settings.smtp_host),
    }
    return tuple(channel for channel in OFFERED if ways[channel])


def phone_channel(channels: Collection[SendChannel]) -> SendChannel:
    """How a telephone number is written to when nobody chose: the first way there is; without any it waits as SMS."""
    return next((channel for channel in channels if channel is not SendChannel.EMAIL), SendChannel.SMS)


def confirming(settings: Settings) -> Mapping[str, bool]:
    """The gateways, by name, whose yes only means that they have accepted a message. True: their webhook tells us when
    it went out. A generic SMS gateway is one of them when it tells; else its yes is all that there will be."""
    receipts = {
        "zenvia": bool(settings.zenvia_hook_secret.get_secret_value()),
        "whatsapp": bool(settings.whatsapp_app_secret.get_secret_value()),
    }
    return receipts | ({"http": True} if settings.sms_hook_secret.get_secret_value() else {})


class Gateway(Protocol):
    @property
    def name(self) -> str:
        """Kept with each message: whose receipts count for it."""
        ...

    async def send(self, message: Outgoing) -> str:
        """Return once the gateway said that it has the message, with the gateway's own id of it ("" if it has none).

        Raises NeverTaken, UnknownAddress or TryLater, and nothing else that is expected.
        """
        ...
