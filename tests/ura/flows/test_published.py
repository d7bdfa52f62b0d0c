"""The flow a call follows, whatever state the database is in."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from tests.conftest import free_port
from ura.db import Sessions, make_engine, make_sessions
from ura.flows import documents, store
from ura.flows.published import VERSIONS_KEPT, PublishedFlows
from ura.flows.store import Known
from ura.models import Did, DidKind, FlowState, FlowVersion

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
LANDLINE = "551133330001"


async def publish(sessions: Sessions, title: str) -> int:
    document = deepcopy(documents.shipped("provedor")) | {"title": title}
    async with sessions.begin() as session:
        await store.save_draft(session, document=document, author="ana", now=NOW)
        version = await store.publish(session, flow_key="provedor", author="ana", now=NOW, known=Known())
        return version.number


async def spoil(sessions: Sessions, document: Any) -> None:
    """Somebody edits the published row by hand."""
    async with sessions.begin() as session:
        published = FlowVersion.state == FlowState.PUBLISHED
        await session.execute(update(FlowVersion).where(published).values(document=document, checksum="edited"))


@pytest.fixture
def away() -> Sessions:
    """A database that nobody answers for."""
    return make_sessions(make_engine(f"postgresql+psycopg://prosa@127.0.0.1:{free_port()}/prosa"))


@pytest.fixture
def flows(sessions: Sessions, tmp_path: Path) -> Callable[[], PublishedFlows]:
    return lambda: PublishedFlows(sessions, tmp_path / "flows")


async def test_with_nothing_published_the_shipped_flow_answers(away: Sessions, tmp_path: Path) -> None:
    flows = PublishedFlows(away, tmp_path / "flows")

    assert (flows.get(LANDLINE).flow.key, flows.get(LANDLINE).number) == ("provedor", 0)
    assert await flows.refresh() is False
    assert flows.get("").number == 0


async def test_a_new_version_is_taken_over_and_old_calls_keep_theirs(
    sessions: Sessions, flows: Callable[[], PublishedFlows]
) -> None:
    await publish(sessions, "Um")
    current = flows()
    await current.refresh()
    begun = current.get(LANDLINE)
    await publish(sessions, "Dois")
    await current.refresh()

    assert (begun.flow.title, begun.number) == ("Um", 1)
    assert (current.get(LANDLINE).flow.title, current.get(LANDLINE).number) == ("Dois", 2)
    assert current.find("provedor", 1) is begun
    assert current.find("provedor", 7) is None


async def test_rolling_back_to_the_same_document_is_a_new_version(
    sessions: Sessions, flows: Callable[[], PublishedFlows]
) -> None:
    await publish(sessions, "Um")
    current = flows()
    await current.refresh()
    async with sessions.begin() as session:
        await store.roll_back(session, flow_key="provedor", number=1, author="", now=NOW, known=Known())
    await current.refresh()
    assert current.get(LANDLINE).number == 2


async def test_each_number_follows_its_own_flow(sessions: Sessions, flows: Callable[[], PublishedFlows]) -> None:
    await publish(sessions, "Um")
    night = deepcopy(documents.shipped("provedor")) | {"key": "noite", "title": "Noite"}
    async with sessions.begin() as session:
        session.add(Did(number=LANDLINE, label="Fixo", kind=DidKind.LANDLINE, flow_key="noite"))
        await store.save_draft(session, document=night, author="", now=NOW)
        await store.publish(session, flow_key="noite", author="", now=NOW, known=Known())
    current = flows()
    await current.refresh()

    assert current.get(LANDLINE).flow.title == "Noite"
    assert current.get("5511900000000").flow.title == "Um"
    number = current.find_number(LANDLINE)
    assert number is not None
    assert number.kind == "landline"


async def test_with_the_database_away_the_copy_on_disk_answers(
    sessions: Sessions, away: Sessions, flows: Callable[[], PublishedFlows], tmp_path: Path
) -> None:
    await publish(sessions, "Um")
    await flows().refresh()

    restarted = PublishedFlows(away, tmp_path / "flows")
    with capture_logs() as logs:
        assert [await restarted.refresh(), await restarted.refresh()] == [False, False]

    assert (restarted.get(LANDLINE).flow.title, restarted.get(LANDLINE).number) == ("Um", 1)
    assert len(logs) == 1, "said once, not every few seconds"


@pytest.mark.parametrize(
    "document", [{}, {"nodes": 7}, {"key": "provedor", "title": "x", "start": "a", "person": "a", "nodes": []}]
)
async def test_a_broken_flow_in_the_database_is_not_taken(
    document: Any, sessions: Sessions, flows: Callable[[], PublishedFlows]
) -> None:
    await publish(sessions, "Bom")
    current = flows()
    await current.refresh()
    await spoil(sessions, document)
    with capture_logs() as logs:
        await current.refresh()
        await current.refresh()

    assert current.get(LANDLINE).flow.title == "Bom"
    assert [log["event"] for log in logs] == ["published flow cannot run; calls follow the last good copy"]
    assert flows().get(LANDLINE).flow.title == "Bom", "after a restart too"


async def test_a_flow_that_leads_nowhere_is_not_taken(sessions: Sessions, flows: Callable[[], PublishedFlows]) -> None:
    await publish(sessions, "Bom")
    document = deepcopy(documents.shipped("provedor"))
    document["nodes"][0]["next"] = "nowhere"
    await spoil(sessions, document)
    current = flows()
    await current.refresh()
    assert current.get(LANDLINE).number == 0, "the shipped flow, for there is no good copy"


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"numbers": 3, "flows": {}}'])
async def test_a_damaged_copy_falls_back_to_the_shipped_flow(
    damage: str, sessions: Sessions, away: Sessions, flows: Callable[[], PublishedFlows], tmp_path: Path
) -> None:
    await publish(sessions, "Um")
    await flows().refresh()
    for file in (tmp_path / "flows").iterdir():
        file.write_text(damage)

    restarted = PublishedFlows(away, tmp_path / "flows")
    assert restarted.get(LANDLINE).number == 0
    repaired = flows()
    await repaired.refresh()
    assert PublishedFlows(away, tmp_path / "flows").get(LANDLINE).number == 1


async def test_only_the_last_versions_are_kept_on_disk(
    sessions: Sessions, flows: Callable[[], PublishedFlows], tmp_path: Path
) -> None:
    current = flows()
    for number in range(VERSIONS_KEPT + 3):
        await publish(sessions, f"Versão {number}")
        await current.refresh()

    kept = sorted(file.name for file in (tmp_path / "flows").glob("provedor-*.json"))
    assert len(kept) == VERSIONS_KEPT
    assert json.loads((tmp_path / "flows" / "published.json").read_text())["flows"] == {"provedor": VERSIONS_KEPT + 3}


async def test_a_disk_that_refuses_stops_nothing(
    sessions: Sessions, flows: Callable[[], PublishedFlows], tmp_path: Path
) -> None:
    (tmp_path / "flows").write_text("a file where the folder should be")
    await publish(sessions, "Um")
    current = flows()
    await current.refresh()
    assert current.get(LANDLINE).flow.title == "Um"
