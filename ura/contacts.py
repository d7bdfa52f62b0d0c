"""Where a subscriber can be written to: only what was registered before the call, told by its end, never in whole.

The call knows a contact by its channel and last digits. The address is looked up again when the message goes out: so
no record and no saved call has the telephone number of somebody who may not be the one who calls.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from ura import opt_outs, phones
from ura.erp import Contract, Erp, SendChannel, Subscriber, Unsupported
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
    channel, tail = SendChannel(contact.get("channel", "")), contact.get("tail")
    subscriber, _ = await find_holder(erp, contact)
    fitting = {each for each in _addresses(subscriber, channel) if _tail(channel, each) == tail}
    if len(fitting) != 1:
        raise BadInput("this contact is no longer registered")
    return fitting.pop()


async def find_holder(erp: Erp, contact: Mapping[str, Any]) -> tuple[Subscriber, Contract]:
    """Whose contact it is, and for which contract. Raises BadInput when that is no longer so; ErpUnavailable."""
    subscriber_id, contract_id = contact.get("subscriber_id"), contact.get("contract_id")
    reply = await erp.list_contracts(str(subscriber_id))
    contracts = () if isinstance(reply, Unsupported) else reply.value
    for contract in contracts:
        if contract.id != contract_id:
            continue
        found = await erp.find_by_contract(contract.number)
        if not isinstance(found, Unsupported) and found.value is not None and found.value.id == subscriber_id:
            return found.value, contract
    raise BadInput("this contract is no longer the subscriber's")


def _addresses(subscriber: Subscriber, channel: SendChannel) -> list[str]:
    if channel is SendChannel.EMAIL:
        with suppress(BadInput):  # what stands in a provider's system is not always an address
            return [opt_outs.address(channel, each) for each in subscriber.emails[:1]]
        return []
    return [phone for phone in subscriber.phones if phones.kind(phone) is PhoneKind.MOBILE]


def _tail(channel: SendChannel, address: str) -> str:
    return "" if channel is SendChannel.EMAIL else address[-TAIL:]
