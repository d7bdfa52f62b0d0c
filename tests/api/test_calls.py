"""Calls through the API: found, paged, told with their path, numbers masked."""

from datetime import UTC, date, datetime

import pytest

from tests.api.conftest import Client
from tests.api.records import CALLER, DID, closed, left, moment, new_id, opened, record, walked, write, write_line
from ura.db import Sessions
from ura.models import PaymentPromise, PromiseOutcome

CALLS = "/api/v1/calls"


async def test_calls_are_listed_newest_first_page_by_page(sessions: Sessions, program: Client) -> None:
    ids = [new_id() for _ in range(5)]
    await write(sessions, *(opened(call_id, seconds_ago=100 - n) for n, call_id in enumerate(ids)))
    seen: list[str] = []
    async with program("calls:read", "phones:see") as client:
        cursor = ""
        while True:
            page = (await client.get(CALLS, params={"limit": 2, "cursor": cursor})).json()
            seen += [call["id"] for call in page["items"]]
            if not (cursor := page["next_cursor"]):
                break
    assert seen == ids[::-1]


async def test_calls_are_filtered(sessions: Sessions, program: Client) -> None:
    live, gone, rescued = new_id(), new_id(), new_id()
    await write(
        sessions,
        opened(live),
        opened(gone, caller="+5511944440000"),
        closed(gone, "abandoned"),
        opened(rescued, door="rescue", did="551133330003"),
    )
    async with program("calls:read", "phones:see") as client:

        async def found(**params: object) -> set[str]:
            answer = await client.get(CALLS, params=params)
            assert answer.status_code == 200, answer.text
            return {call["id"] for call in answer.json()["items"]}

        assert await found(live=True) == {live, rescued}
        assert await found(outcome="abandoned") == {gone}
        assert await found(door="rescue") == {rescued}
        assert await found(did=DID) == {live, gone}
        assert await found(caller="(11) 94444-0000") == {gone}
        assert await found(**{"from": "2100-01-01T00:00:00Z"}) == set()
        assert await found(**{"to": "2100-01-01T00:00:00-03:00"}) == {live, gone, rescued}


async def test_one_call_tells_its_steps_and_its_path(sessions: Sessions, program: Client) -> None:
    call_id = new_id()
    await write_line(sessions)
    await write(sessions, opened(call_id), *walked(call_id))
    async with program("calls:read", "phones:see") as client:
        call = (await client.get(f"{CALLS}/{call_id}")).json()
    assert call["caller"] == CALLER
    assert call["stage"] == "flow"
    assert [(step["node"], step["event"]) for step in call["steps"]] == [
        ("greeting", "started"),
        ("greeting", "played"),
        ("main", "digits"),
    ]
    assert [(stop["node"], stop["keys"], stop["seconds"]) for stop in call["path"]] == [
        ("greeting", [], 4),
        ("main", ["1"], 6),
        ("audience", [], None),
    ]


async def test_one_call_links_all_that_came_of_it(sessions: Sessions, program: Client) -> None:
    call_id, recording_id = new_id(), new_id()
    await write(sessions, opened(call_id), *left(call_id, recording_id=recording_id), opened(other := new_id()))
    async with program("calls:read", "leads:read", "tickets:read", "phones:see") as client:
        call = (await client.get(f"{CALLS}/{call_id}")).json()
        [ticket] = call["tickets"]
        assert (ticket["category"], ticket["status"]) == ("fallback", "open")
        assert ticket["summary"].startswith("O atendimento automático não respondeu.")
        assert (await client.get(ticket["href"])).json()["call_id"] == call_id
        assert call["lead"]["status"] == "proposal"
        assert (await client.get(call["lead"]["href"])).json()["call_id"] == call_id
        [recording] = call["recordings"]
        assert (recording["href"], recording["seconds"]) == (f"/api/v1/recordings/{recording_id}/audio", 2.0)
        [message] = call["messages"]
        assert (message["kind"], message["to"], message["state"]) == ("plans", CALLER, "queued")
        [callback] = call["callbacks"]
        assert (callback["queue"], callback["phone"], callback["state"]) == ("l1", CALLER, "waiting")
        [wish] = call["requests"]
        assert (wish["operation"], wish["state"], wish["settled_at"]) == ("trust_unlock", "queued", None)
        assert wish["promise"] is None
        assert {each["step"]: each["answer"] for each in call["first_aid"]} == {"power": "done", "outlet": "not_done"}
        assert call["survey"] == [{"question": "csat", "value": "5"}]
        nothing = (await client.get(f"{CALLS}/{other}")).json()
        assert not any(nothing[name] for name in ("tickets", "lead", "recordings", "messages", "callbacks"))


async def test_a_broken_promise_is_seen_at_its_call(sessions: Sessions, program: Client) -> None:
    call_id, request_id = new_id(), new_id()
    args = {"contract_id": "7", "on": "2026-11-27"}
    wish = {"call_id": call_id, "request_id": request_id, "operation": "promise", "args": args}
    await write(sessions, opened(call_id), record("erp_requested", at=moment(5), **wish))
    now = datetime.now(UTC)
    async with sessions.begin() as session:
        what = {"source": "sgp", "contract_ref": "7", "on_day": date(2026, 11, 27), "made_at": now}
        session.add(PaymentPromise(id=request_id, reminded_at=now, outcome=PromiseOutcome.BROKEN, **what))
    async with program("calls:read") as client:
        [told] = (await client.get(f"{CALLS}/{call_id}")).json()["requests"]
    assert (told["promise"]["on_day"], told["promise"]["outcome"]) == ("2026-11-27", "broken")
    assert told["promise"]["reminded_at"] is not None


async def test_what_came_of_a_call_is_masked_like_the_call(sessions: Sessions, program: Client) -> None:
    call_id = new_id()
    await write(sessions, opened(call_id), *left(call_id, recording_id=new_id()))
    async with program("calls:read") as client:
        answer = await client.get(f"{CALLS}/{call_id}")
    call = answer.json()
    assert call["lead"] is None
    assert {call["messages"][0]["to"], call["callbacks"][0]["phone"]} == {"+5511*****0002"}
    assert CALLER not in answer.text


async def test_whoever_may_not_see_numbers_cannot_ask_for_them_either(sessions: Sessions, program: Client) -> None:
    call_id = new_id()
    await write(sessions, opened(call_id))
    async with program("calls:read") as client:
        [call] = (await client.get(CALLS)).json()["items"]
        refused = await client.get(CALLS, params={"caller": CALLER})
    assert call["caller"] == "+5511*****0002"
    assert refused.status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({"limit": 1000}, "invalid-request", "query.limit"),
        ({"outcome": "never"}, "invalid-request", "query.outcome"),
        ({"cursor": "x"}, "bad-cursor", "next_cursor"),
        ({"from": "2026-11-22T08:00:00"}, "invalid-request", "query.from"),
        ({"from": "1732233600"}, "invalid-request", "query.from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "invalid-request", "query.from"),
        ({"caller": "hello"}, "bad-input", "area code"),
    ],
)
async def test_what_cannot_be_understood_is_answered_with_what_to_do(
    program: Client, params: dict[str, str], code: str, says: str
) -> None:
    async with program() as client:
        answer = await client.get(CALLS, params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_call_that_is_not_there_is_not_found(program: Client) -> None:
    async with program() as client:
        answer = await client.get(f"{CALLS}/{new_id()}")
    assert answer.status_code == 404
    assert answer.json() == {
        "type": "urn:prosa:problem:call-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such call.",
        "code": "call-not-found",
    }
