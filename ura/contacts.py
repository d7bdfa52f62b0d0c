"""Where a subscriber can be written to: only what was registered before the call, told by its end, never in whole.

The call knows a contact by its channel and last digits. The address is looked up again when the message goes out: so
no record and no saved call has the telephone number of somebody who may not be the one who calls.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from ura import opt_outs, phones
from ura.erp import Erp, SendChannel, Subscriber, Unsupported
from ura.errors import BadInput
from ura.phones import PhoneKind

TAIL = 4


def targets(subscriber: Subscriber, channels: Collection[SendChannel]) -> list[dict[str, str]]:
    """`[{"channel": "sms", "tail": "0002"}, …]`, each address once a channel; of e-mail addresses the first, without a
    tail. `channels`: those that have a gateway, in the order in which they are offered."""
    found: list[dict[str, str]] = []
    for channel in channels:
        for address in _addresses(subscriber, channel):
            target = {"channel": channel.value, "tail": _tail(channel, address)}
            if target not in found:
                found.append(target)
    return found


async def find_address(erp: Erp, contact: Mapping[str, Any]) -> str:
    """The address of a contact that was chosen among `targets`. Raises BadInput when it is no longer registered, or is
    not to be told from another one; ErpUnavailable."""
    subscriber_id, contract_id = contact.get("subscriber_id"), contact.get("contract_id")
    channel, tail = SendChannel(contact.get("channel", "")), contact.get("tail")
    contracts = await erp.list_contracts(str(subscriber_id))
    numbers = [] if isinstance(contracts, Unsupported) else [c.number for c in contracts.value if c.id == contract_id]
    for number in numbers:
        found = await erp.find_by_contract(number)
        if isinstance(found, Unsupported) or found.value is None or found.value.id != subscriber_id:
            continue
        fitting = {each for each in _addresses(found.value, channel) if _tail(channel, each) == tail}
        if len(fitting) == 1:
            return fitting.pop()
    raise BadInput("this contact is no longer registered")


def _addresses(subscriber: Subscriber, channel: SendChannel) -> list[str]:
    if channel is SendChannel.EMAIL:
        with suppress(BadInput):  # what stands in a provider's system is not always an address
            return [opt_outs.address(channel, each) for each in subscriber.emails[:1]]
        return []
    return [phone for phone in subscriber.phones if phones.kind(phone) is PhoneKind.MOBILE]


def _tail(channel: SendChannel, address: str) -> str:
    return "" if channel is SendChannel.EMAIL else address[-TAIL:]
