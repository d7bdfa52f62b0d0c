"""Drafts, publishing, rolling back, differences."""

import asyncio
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from ura.db import Sessions
from ura.errors import BadInput, Refused
from ura.flows import documents, store
from ura.flows.store import FlowInvalid, FlowNotFound, Known, NothingToPublish
from ura.models import FlowState, FlowVersion

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
ANY = Known()


def provedor(**changes: Any) -> dict[str, Any]:
    return deepcopy(documents.shipped("provedor")) | changes


async def save(sessions: Sessions, document: dict[str, Any]) -> FlowVersion:
    async with sessions.begin() as session:
        return await store.save_draft(session, document=document, author="ana", now=NOW)


async def publish(sessions: Sessions, document: dict[str, Any], known: Known = ANY) -> FlowVersion:
    async with sessions.begin() as session:
        await store.save_draft(session, document=document, author="ana", now=NOW)
        return await store.publish(session, flow_key="provedor", author="ana", now=NOW, known=known)


async def states(sessions: Sessions) -> dict[int, str]:
    async with sessions() as session:
        return {each.number: each.state.value for each in await store.list_versions(session, "provedor")}


async def test_a_draft_may_be_wrong_and_is_replaced_by_the_next(sessions: Sessions) -> None:
    await save(sessions, {"key": "provedor", "title": "Meio pronto"})
    second = await save(sessions, provedor())

    assert second.number == 1
    assert await states(sessions) == {1: "draft"}


async def test_publishing_retires_the_former_version(sessions: Sessions) -> None:
    first = await publish(sessions, provedor())
    second = await publish(sessions, provedor(title="Outro"))

    assert (first.number, second.number) == (1, 2)
    assert await states(sessions) == {1: "retired", 2: "published"}
    async with sessions() as session:
        published = await store.find_published(session, "provedor")
        assert published is not None
        assert (published.author, published.published_at) == ("ana", NOW)
        assert published.checksum == store.checksum(provedor(title="Outro"))


async def test_a_flow_with_mistakes_is_refused_with_remedies_and_the_former_stays(sessions: Sessions) -> None:
    await publish(sessions, provedor())
    wrong = provedor()
    wrong["nodes"][0]["next"] = "nowhere"

    with pytest.raises(FlowInvalid) as refused:
        await publish(sessions, wrong)

    assert "nowhere" in refused.value.message
    assert await states(sessions) == {1: "published"}


async def test_unknown_prompts_and_queues_are_refused(sessions: Sessions) -> None:
    with pytest.raises(FlowInvalid) as refused:
        await publish(sessions, provedor(), Known(prompts=set(), queues=set()))
    assert {"flow-prompt-unknown", "flow-queue-unknown"} <= {mistake.code for mistake in refused.value.mistakes}


async def test_a_published_version_is_not_touched_by_the_next_draft(sessions: Sessions) -> None:
    await publish(sessions, provedor())
    await save(sessions, provedor(title="Rascunho"))

    async with sessions() as session:
        published = await store.find_published(session, "provedor")
        assert published is not None
        assert published.document == provedor()
    assert await states(sessions) == {1: "published", 2: "draft"}


async def test_rolling_back_is_one_action_and_leaves_the_draft_alone(sessions: Sessions) -> None:
    await publish(sessions, provedor())
    await publish(sessions, provedor(title="Ruim"))
    await save(sessions, provedor(title="Rascunho"))

    async with sessions.begin() as session:
        back = await store.roll_back(session, flow_key="provedor", number=1, author="rui", now=NOW, known=ANY)

    assert back.document == provedor()
    assert await states(sessions) == {1: "retired", 2: "retired", 3: "draft", 4: "published"}


async def test_a_draft_cannot_be_rolled_back_to(sessions: Sessions) -> None:
    await save(sessions, provedor())
    async with sessions.begin() as session:
        with pytest.raises(Refused):
            await store.roll_back(session, flow_key="provedor", number=1, author="", now=NOW, known=ANY)
        with pytest.raises(FlowNotFound):
            await store.roll_back(session, flow_key="provedor", number=9, author="", now=NOW, known=ANY)


async def test_there_must_be_something_to_publish(sessions: Sessions) -> None:
    await publish(sessions, provedor())
    async with sessions.begin() as session:
        with pytest.raises(NothingToPublish):
            await store.publish(session, flow_key="provedor", author="", now=NOW, known=ANY)
        with pytest.raises(FlowNotFound):
            await store.publish(session, flow_key="other", author="", now=NOW, known=ANY)
        with pytest.raises(BadInput):
            await store.save_draft(session, document={"title": "Sem chave"}, author="", now=NOW)


async def test_two_who_publish_at_once_leave_one_version_in_force(sessions: Sessions) -> None:
    await publish(sessions, provedor())

    async def one(title: str) -> None:
        with suppress(IntegrityError, OperationalError, NothingToPublish):  # told to try again
            await publish(sessions, provedor(title=title))

    await asyncio.gather(*(one(f"Versão {number}") for number in range(4)))

    assert list((await states(sessions)).values()).count(FlowState.PUBLISHED.value) == 1


async def test_shipped_flows_are_published_once(sessions: Sessions) -> None:
    for expected in (1, 0):
        async with sessions.begin() as session:
            assert len(await store.publish_shipped(session, now=NOW, known=ANY)) == expected


async def test_what_is_known_here_comes_from_catalogue_and_database(sessions: Sessions) -> None:
    async with sessions() as session:
        known = await store.known_here(session, ["menu.main"])
    assert known.prompts == {"menu.main"}
    assert known.queues == set()


def test_a_difference_is_told_node_by_node() -> None:
    before, after = provedor(), provedor(title="Novo")
    next(node for node in after["nodes"] if node["key"] == "main")["prompts"] = ["menu.other"]
    removed = after["nodes"].pop()["key"]
    after["nodes"].append({"key": "extra", "type": "end"})

    changes = {change.where: change for change in store.diff(before, after)}

    assert {where: change.what for where, change in changes.items()} == {
        "flow.title": "changed",
        "main": "changed",
        "extra": "added",
        removed: "removed",
    }
    assert {"-- menu.main", "+- menu.other"} <= set(changes["main"].lines)
    assert store.diff(before, deepcopy(before)) == []
