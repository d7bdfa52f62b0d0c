"""The panel's page of people's own data: who may see it, and that it does what the API does."""

from tests.api.conftest import Client
from ura.models import Role

PAGE = "/panel/privacy"


async def test_only_who_answers_for_the_law_sees_it_and_a_form_sent_twice_asks_once(person: Client) -> None:
    async with person(Role.ATTENDANT) as attendant:
        assert (await attendant.get(PAGE)).status_code == 403
        assert (await attendant.post(f"{PAGE}/requests", data={"kind": "package"})).status_code == 403
    async with person(Role.ADMIN) as admin:
        page = await admin.get(PAGE)
        assert page.status_code == 200
        asked = {"kind": "package", "phone": "11933330002", "once": "0123456789"}
        for _ in range(2):
            assert (await admin.post(f"{PAGE}/requests", data=asked)).status_code == 303
        [request] = (await admin.get("/api/v1/person-requests")).json()["items"]
        assert request["kind"] == "package"
        assert "93333" not in (await admin.get(PAGE)).text
        both = {"kind": "package", "phone": "11933330002", "document": "529.982.247-25"}
        unsure = {"kind": "erase", "document": "529.982.247-25"}
        for wrong in (both, {"kind": "package"}, {"kind": "package", "document": "1"}, unsure):
            assert (await admin.post(f"{PAGE}/requests", data=wrong)).status_code == 422
        assert (await admin.post(f"{PAGE}/requests", data=unsure | {"sure": "true"})).status_code == 303
        assert len((await admin.get("/api/v1/person-requests")).json()["items"]) == 2
        answer = await admin.get(f"{PAGE}/requests/{request['id']}/package")
        assert answer.status_code == 409  # the worker has not packed it yet
