"""R60: whatever is done with subscribers, and whatever goes wrong with it, no document, phone or name reaches a log."""

import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from prosa.importing import run
from tests.factories import NOON, make_id
from tests.local_world import load_local_world
from ura import logs
from ura.adapters.erp import GuardedErp, from_settings
from ura.db import Sessions
from ura.erp import Answer, ErpUnavailable, Kind, LeadWish
from ura.models import AttemptKind, Subscriber, SubscriberPhone
from ura.settings import Settings
from ura.subscribers import Identification, Limits

# The marker: somebody whom nothing else in the tests is called.
DOCUMENT, WRITTEN, PHONE, NAME, YEAR = "86288366757", "862.883.667-57", "+5511912345678", "Quitéria Zanotelli", "1961"
FILE = f"documento;nome;nascimento;telefones\n{WRITTEN};{NAME};{YEAR};11912345678\n"
SECRETS = [DOCUMENT, WRITTEN, PHONE, PHONE[1:], PHONE[3:], "91234-5678", NAME, "Quit", "Zanotelli"]


@pytest.fixture
def out() -> Iterator[StringIO]:
    """Everything that anybody logs, at the most talkative level."""
    root = logging.getLogger()
    before, level, driver = list(root.handlers), root.level, logging.getLogger("aiosqlite").level
    stream = StringIO()
    logs.configure(environment="production", level="DEBUG", stream=stream)
    yield stream
    root.handlers, root.level = before, level
    logging.getLogger("aiosqlite").setLevel(driver)


async def no_wait(_seconds: float) -> None:
    """The pace of answers is tested elsewhere."""


async def test_nothing_that_tells_who_it_was_is_logged(
    sessions: Sessions, settings: Settings, tmp_path: Path, out: StringIO
) -> None:
    log = logging.getLogger("test")
    local = await load_local_world(sessions, settings)
    file = tmp_path / "people.csv"
    file.write_text(FILE)
    said: list[str] = []
    await run(settings, "subscribers", file, say=said.append, confirm=lambda: True)

    who = Identification(local.erp, sessions, local.keyring, Limits(caller=4), wait=no_wait)
    found = await who.by_keys(AttemptKind.DOCUMENT, DOCUMENT, caller=PHONE)
    assert found.subscriber
    log.info("found %s", found)
    assert (await who.check_factor(found.subscriber, YEAR, source="local", caller="")).right
    for wrong in (DOCUMENT[:-1] + "0", DOCUMENT[:-1], "", "1") * 2:  # until the lock, and its alarm
        await who.by_keys(AttemptKind.DOCUMENT, wrong, caller=PHONE)
    log.info("%r %r", await local.erp.find_by_phone(PHONE), LeadWish(NAME, PHONE, "Centro", "Vale Verde"))

    guarded = GuardedErp(local.erp)
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE subscriber_phone RENAME TO moved"))
        await session.execute(text("ALTER TABLE trust_unlock RENAME TO moved_too"))
    for asking in (
        guarded.find_by_phone(PHONE),
        guarded.find_by_document(DOCUMENT),
        guarded.trust_unlock("1", key=make_id()),
    ):
        with pytest.raises(ErpUnavailable):
            await asking
    for row in (  # statements that fail with these values, and are logged with their whole story
        SubscriberPhone(subscriber_id=1, phone=PHONE),
        Subscriber(name=NAME, kind=Kind.PERSON, document=None, document_hash="x", updated_at=NOON),
    ):
        with pytest.raises(SQLAlchemyError) as failed:
            async with sessions.begin() as session:
                session.add(row)
        log.error("it could not be stored", exc_info=failed.value)

    told = out.getvalue()
    assert told.count("it could not be stored") == 2
    assert "may not try more documents" in told
    assert [secret for secret in SECRETS if secret in told] == []
    assert [secret for secret in SECRETS[:-2] if secret in "\n".join(said)] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_settings_give_our_own_tables_guarded(sessions: Sessions, settings: Settings) -> None:
    local = await load_local_world(sessions, settings)
    erp = from_settings(settings, sessions)
    reply = await erp.find_by_document(local.world.story("in_order").subscriber.document)
    assert isinstance(reply, Answer)
    assert (erp.name, reply.source) == ("local", "local")
    assert reply.value is not None
    await erp.close()
