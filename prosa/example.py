"""A provider made of one YAML page: lookups and acts for the simulator, with no database and no audio."""

from collections.abc import Collection
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from ura import sla
from ura.errors import Unavailable
from ura.prompts import load_yaml, name_key
from ura.queues import Span

Json = Any
PAGE = Path(__file__).parent / "example.yaml"
ZONE = ZoneInfo("America/Sao_Paulo")
LETTERS = {"2": "abc", "3": "def", "4": "ghi", "5": "jkl", "6": "mno", "7": "pqrs", "8": "tuv", "9": "wxyz"}
KEYPAD = {letter: digit for digit, letters in LETTERS.items() for letter in letters}


class ExampleProvider:
    """`lookup` answers like ura.lookups, `act` like ura.acts; `down` names the lookups that fail, `broken` the acts."""

    def __init__(self, *, now: datetime, down: Collection[str] = (), broken: Collection[str] = ()) -> None:
        page = load_yaml(PAGE)
        self.now = now
        self.down = set(down)
        self.broken = set(broken)
        self.texts: dict[str, str] = {}  # of the names, by prompt key
        self.done: list[tuple[str, dict[str, Json]]] = []
        self._hours = page["opening_hours"]
        self._ceps = page["ceps"]
        self._cities = [self._named(city, number) for number, city in enumerate(page["cities"], start=1)]
        self._plans = {
            audience: [self._plan(plan, number) for number, plan in enumerate(plans, start=1)]
            for audience, plans in page["plans"].items()
        }

    async def lookup(self, name: str, args: dict[str, Json]) -> dict[str, Json]:
        if name in self.down:
            raise Unavailable(f"{name} is away")
        match name:
            case "cities":
                return {"cities": [{k: city[k] for k in ("id", "name", "prompt")} for city in self._cities]}
            case "neighbourhoods":
                return _listed(self._of(args["city_id"]))
            case "neighbourhoods_by_keys":
                found = [each for each in self._of(args["city_id"]) if _matches(each["name"], args["keys"])]
                return _listed(found)
            case "neighbourhood_by_cep":
                wanted = self._ceps.get(args["cep"])
                everywhere = [each for city in self._cities for each in city["neighbourhoods"]]
                return _listed([each for each in everywhere if each["name"] == wanted])
            case "plans":
                return {"plans": self._plans.get(args["audience"], [])}
            case "opening":
                return self._opening()
            case "deadline":
                return self._deadline(float(args["hours"]))
            case "recent_calls":
                return {"count": 0}
            case "outage_for_caller":
                return {"outage": None}
            case "arrival":
                return {"outage": None, "segment": ""}
            case "standing":
                return {"emergency": None, "blocked": False, "priority": False}
            case "who_calls" | "find_subscriber":  # the page has no subscribers; those of the demo are in demo_house.py
                return {"subscriber": None, "contracts": []}
        raise Unavailable(f"no lookup is called {name!r}")

    async def act(self, name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]:
        if name in self.broken:
            raise Unavailable(f"{name} cannot be written down")
        self.done.append((name, args))
        if name == "save_lead":
            return {"lead_id": args.get("lead_id") or uuid4().hex}
        return {"open_ticket": {"ticket_id": uuid4().hex}, "request_callback": {"callback_id": uuid4().hex}}.get(
            name, {}
        )

    def _of(self, city_id: Json) -> list[dict[str, Json]]:
        return next((city["neighbourhoods"] for city in self._cities if city["id"] == city_id), [])

    def _named(self, row: dict[str, Json], number: int) -> dict[str, Json]:
        inner = row.get("neighbourhoods", [])
        named = [self._named(each, number * 100 + at) for at, each in enumerate(inner, start=1)]
        return row | {"id": number, "prompt": self._prompt(row["name"]), "neighbourhoods": named}

    def _plan(self, row: dict[str, Json], number: int) -> dict[str, Json]:
        return row | {
            "id": number,
            "prompt": self._prompt(row["name"]),
            "conditions_prompt": self._prompt(row["conditions"]),
        }

    def _prompt(self, text: str) -> str:
        key = name_key(text)
        self.texts[key] = text
        return key

    def _opening(self) -> dict[str, Json]:
        opens, closes = time.fromisoformat(self._hours["opens"]), time.fromisoformat(self._hours["closes"])
        if self.now.weekday() in self._hours["weekdays"] and opens <= self.now.time() < closes:
            return {"open": True, "opens_at": None}
        day = self.now.date() if self.now.time() < opens else self.now.date() + timedelta(days=1)
        while day.weekday() not in self._hours["weekdays"]:
            day += timedelta(days=1)
        return {"open": False, "opens_at": datetime.combine(day, opens).isoformat(timespec="minutes")}

    def _deadline(self, hours: float) -> dict[str, Json]:
        opens, closes = time.fromisoformat(self._hours["opens"]), time.fromisoformat(self._hours["closes"])
        week = [Span(day, opens, closes) for day in self._hours["weekdays"]]
        start = self.now.replace(tzinfo=self.now.tzinfo or ZONE)
        found = sla.deadline_of(week, start, timedelta(hours=hours), zone=ZONE, is_holiday=lambda day: False)
        return {"until": found.isoformat() if found else None}


def _listed(rows: list[dict[str, Json]]) -> dict[str, Json]:
    kept = ("id", "name", "prompt", "status", "forecast_on")
    return {"neighbourhoods": [{key: row.get(key) for key in kept} for row in rows]}


def _matches(name: str, keys: str) -> bool:
    spelt = ["".join(KEYPAD.get(letter, "") for letter in word) for word in name.lower().split()]
    return any(word.startswith(keys) for word in spelt)
