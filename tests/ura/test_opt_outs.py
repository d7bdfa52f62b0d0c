from base64 import b64decode

import pytest
from sqlalchemy import select

from tests.factories import NOON, later
from ura import messages, opt_outs
from ura.db import Sessions
from ura.erp import SendChannel
from ura.errors import BadInput
from ura.models import AuditEntry
from ura.opt_outs import Reply

SMS, WHATSAPP, EMAIL = SendChannel.SMS, SendChannel.WHATSAPP, SendChannel.EMAIL
PHONE = "+5511987654321"


async def hear(sessions: Sessions, text: str, *, channel: SendChannel = SMS, sender: str = "5511987654321") -> bool:
    async with sessions.begin() as session:
        words = {"stop": messages.stop_words(), "start": messages.start_words()}
        return await opt_outs.hear(session, Reply(channel, sender, text), now=NOON, **words)


async def is_out(sessions: Sessions, channel: SendChannel, to: str) -> bool:
    async with sessions() as session:
        return await opt_outs.has_opted_out(session, channel=channel, to=to)


@pytest.mark.parametrize("word", ["PARE", "Sair", " sair! ", "párar", "STOP."])
async def test_a_reply_that_says_stop_stops_that_channel_only(sessions: Sessions, word: str) -> None:
    assert await hear(sessions, word)
    assert await is_out(sessions, SMS, PHONE)
    assert not await is_out(sessions, WHATSAPP, PHONE)


@pytest.mark.parametrize("text", ["pare de ligar errado", "obrigado", "", "parecer", "não quero sair"])
async def test_other_words_do_nothing(sessions: Sessions, text: str) -> None:
    assert not await hear(sessions, text)
    assert not await is_out(sessions, SMS, PHONE)


async def test_who_comes_back_gets_messages_again(sessions: Sessions) -> None:
    await hear(sessions, "PARE", channel=WHATSAPP)
    assert await hear(sessions, "Voltar", channel=WHATSAPP)
    assert not await is_out(sessions, WHATSAPP, PHONE)


async def test_a_number_as_whatsapp_writes_it_is_the_same_number(sessions: Sessions) -> None:
    """Meta's id of a Brazilian mobile often lacks the ninth digit."""
    await hear(sessions, "PARE", channel=WHATSAPP, sender="551187654321")
    assert await is_out(sessions, WHATSAPP, PHONE)


async def test_a_reply_from_nowhere_does_nothing(sessions: Sessions) -> None:
    assert not await hear(sessions, "PARE", sender="prosa.sms")


async def test_twice_is_once_and_the_audit_has_no_whole_number(sessions: Sessions) -> None:
    await hear(sessions, "PARE")
    await hear(sessions, "PARE")
    async with sessions.begin() as session:
        await opt_outs.opt_out(session, channel=EMAIL, target="ana@casa.example", by="bia", now=later(1))
        page = await opt_outs.list_opt_outs(session)
        assert [(each.channel, each.target, each.by) for each in page.items] == [
            (EMAIL, "ana@casa.example", "bia"),
            (SMS, PHONE, opt_outs.BY_REPLY),
        ]
        audit = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
        assert [(line.actor, line.subject) for line in audit] == [
            ("reply", "+5511*****4321"),
            ("bia", "a***@casa.example"),
        ]


async def test_an_address_of_mail_is_the_same_in_big_letters(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        target = opt_outs.address(EMAIL, " Ana@Casa.Example ")
        await opt_outs.opt_out(session, channel=EMAIL, target=target, by="bia", now=NOON)
    assert await is_out(sessions, EMAIL, "ANA@casa.example")


@pytest.mark.parametrize(
    ("channel", "written"),
    [
        (SMS, "190"),
        (SMS, ""),
        (EMAIL, "ana"),
        (EMAIL, "ana@casa"),
        (EMAIL, "a@b@c.d"),
        (EMAIL, "a b@c.d"),
        (EMAIL, "x" * 120 + "@c.d"),
    ],
)
def test_what_is_no_address_is_refused(channel: SendChannel, written: str) -> None:
    with pytest.raises(BadInput):
        opt_outs.address(channel, written)


async def test_the_list_is_paged_and_searched_and_no_cursor_tells_an_address(sessions: Sessions) -> None:
    people = ["+5511987650001", "+5511987650002", "+5511987650003"]
    async with sessions.begin() as session:
        for seconds, phone in enumerate(people):
            await opt_outs.opt_out(session, channel=SMS, target=phone, by="bia", now=later(seconds))
        first = await opt_outs.list_opt_outs(session, limit=2)
        second = await opt_outs.list_opt_outs(session, limit=2, cursor=first.next_cursor)
        assert [each.target for page in (first, second) for each in page.items] == people[::-1]
        assert not any(phone in b64decode(first.next_cursor).decode() for phone in people)
        assert second.next_cursor == ""
        found = await opt_outs.list_opt_outs(session, channel=SMS, target=people[1])
        assert [each.target for each in found.items] == [people[1]]
        assert (await opt_outs.list_opt_outs(session, channel=EMAIL)).items == []


async def test_taking_somebody_back_twice_is_written_down_once(sessions: Sessions) -> None:
    await hear(sessions, "PARE")
    async with sessions.begin() as session:
        for _ in range(2):
            await opt_outs.opt_in(session, channel=SMS, target=PHONE, by="bia")
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions == ["opted-out", "opted-in"]
