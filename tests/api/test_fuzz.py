"""A short R47 in CI: the whole API asked at random by three roles. `make fuzz` asks it 10,000 times."""

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests import fuzz
from tests.api.conftest import HERE, Client
from ura.models import Role


def test_nothing_fails_and_nobody_gets_what_is_not_theirs() -> None:
    with fuzz.house() as (app, address, tokens):
        for role in fuzz.ROLES:
            ran = fuzz.ask(address, tokens[role], each=2, seed=1, phases="examples,fuzzing")
            assert ran.returncode == 0, f"{role}\n{ran.stdout}{ran.stderr}"
        assert {role for role, _, _ in app.answers} == set(fuzz.ROLES)
        assert app.answers.total() > 1000
        assert any(status < 300 for _, _, status in app.answers)
        assert not app.broken()
        assert not app.not_theirs


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_answer_to_the_wrong_role_is_seen(app: FastAPI, program: Client) -> None:
    async with program() as client:  # may everything
        token = client.headers["Authorization"].removeprefix("Bearer ")
        watched = fuzz.Watched(app, {token: Role.ATTENDANT})
        async with AsyncClient(transport=ASGITransport(watched), base_url=HERE, headers=client.headers) as passing:
            assert (await passing.get("/api/v1/calls")).status_code == 200
            assert (await passing.get("/api/v1/users")).status_code == 200
    assert watched.not_theirs == {(Role.ATTENDANT, "GET list_users", 200): 1}
