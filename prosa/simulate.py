"""A call without a telephone: `prosa simulate FLOW --keys 1,1,2` prints what a caller would hear.

The conductor and the engine are the ones of a real call; only the channel is the terminal's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

from prosa.demo_house import open_house
from prosa.example import ExampleProvider
from ura import phones, settings, speech
from ura.db import make_engine, make_sessions
from ura.demo.subscribers import streets
from ura.errors import HungUp, UraError
from ura.flows import documents, store
from ura.flows.channel import OneAfterTheOther, Recording
from ura.flows.conduct import Acts, CallContext, CallResult, conduct
from ura.flows.effects import Spoken
from ura.flows.engine import CompiledFlow
from ura.flows.events import QueueLeft, Started
from ura.flows.facts import FirstFacts
from ura.flows.published import PublishedFlows, compile_document
from ura.flows.validation import Known, check_document, parse
from ura.lookups import Lookups
from ura.models import Prompt
from ura.prompts import MANIFEST, load_all, name_key, read_manifest

Json = Any
PROTOCOL = "261326000017"
MOST_QUEUES = 5
HANG_UP = "x"
NOW_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]

flow_commands = typer.Typer(help="Look at flow documents.", no_args_is_help=True)


@dataclass
class TerminalChannel(OneAfterTheOther):
    """`ura.flows.conduct.Channel` on a list of entries. After the last one the caller is silent."""

    keys: list[str]
    texts: Mapping[str, str]
    durations: Mapping[str, float] = field(default_factory=dict)
    write: Callable[[str], None] = print
    heard_s: float = 0.0

    async def play(self, prompts: Sequence[str]) -> str:
        self._hear(prompts)
        return ""

    async def collect(self, prompts: Sequence[str], *, max_digits: int, timeout_s: float) -> str:
        self._hear(prompts)
        entry = self._next()
        self.write(f"    [{entry}]" if entry else f"    [ ] {timeout_s:g} s")
        return entry.removesuffix("#")[:max_digits]

    async def listen(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return ""

    async def record(
        self, prompts: Sequence[str], *, tone: Sequence[str], recording_id: str, max_s: int, ends: str
    ) -> Recording:
        self._hear([*prompts, *tone])
        said, _, key = self._next().partition("+")  # 12+9: twelve seconds, then the key 9
        seconds = min(float(said), max_s) if said.isdigit() else 0.0
        self.write(f"    (rec {seconds:g} s)" + (f" [{key}]" if key else ""))
        return Recording(seconds, key if key in ends else "")

    def _next(self) -> str:
        entry = self.keys.pop(0) if self.keys else ""
        if entry == HANG_UP:
            self._hang_up()
        return entry

    def _hang_up(self) -> None:
        self.keys.clear()
        self.write("    [hang-up]")
        raise HungUp

    def _hear(self, prompts: Sequence[str]) -> None:
        if not prompts:
            return
        said = " ".join(self.texts.get(key, f"<{key}>") for key in prompts if not key.startswith(("pause.", "tone.")))
        self.write(f"{self.heard_s:6.1f} s  {said}")
        self.heard_s += sum(self.durations.get(key, 0.0) for key in prompts)


@dataclass(frozen=True)
class SimulatedCall:
    """`ura.acts.CallFacts`."""

    call_id: str
    protocol: str
    caller: str


class TerminalRecorder:
    """Keeps the path; prints nothing of it, for the steps can be read from what is heard."""

    def __init__(self) -> None:
        self.outcome = ""

    def step(self, node: str, event: str, detail: dict[str, Json]) -> None:
        return None

    def close(self, outcome: str, last_node: str) -> None:
        self.outcome = outcome


def read_flow(name: str) -> CompiledFlow:
    """A flow by file name or, if there is no such file, the one that ships with Prosa under that key."""
    file = Path(name)
    document = documents.load(file.read_text(encoding="utf-8")) if file.is_file() else documents.shipped(name)
    return compile_document(document, _other_flows(document))


def _other_flows(document: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    return {key: documents.shipped(key) for key in documents.shipped_keys() if key != document.get("key")}


async def run_call(
    flow: CompiledFlow,
    channel: TerminalChannel,
    *,
    facts: FirstFacts,
    lookups: Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]],
    acts: Acts,
    queue_left: str = "",
) -> CallResult:
    """One call to its end. `queue_left`: how each queue gives the caller back; empty: the queue takes the call."""
    now = datetime.fromisoformat(facts.now)

    def speak(spoken: Spoken) -> list[str]:
        return speech.prompt_keys(spoken, today=now.date())

    recorder = TerminalRecorder()
    call = CallContext(facts.call_id, flow, Started(facts.as_dict()))
    for _ in range(MOST_QUEUES):
        result = await conduct(call, channel, lookups=lookups, acts=acts, recorder=recorder, speak=speak)
        if result.kind != "queue":
            break
        channel.write(f"    -> queue {result.queue}" + (f", left: {queue_left}" if queue_left else ""))
        if not queue_left:
            break
        call = CallContext(facts.call_id, flow, QueueLeft(result.queue, queue_left), result.state)
    if result.kind == "end":
        channel.write(f"    -> end: {result.reason}")
    return result


def simulate(
    flow: Annotated[str, typer.Argument(help="A YAML file, or the key of a shipped or (with --db) published flow.")],
    keys: Annotated[str, typer.Option(help="Entries with commas between; empty: silence; x: hangs up.")] = "",
    now: Annotated[datetime | None, typer.Option(formats=NOW_FORMATS, help="Local date and time.")] = None,
    caller: Annotated[str, typer.Option(help="The caller's number; empty: hidden.")] = "+5511987654321",
    again: Annotated[bool, typer.Option("--again", help="The caller called less than two hours ago.")] = False,
    queue: Annotated[str, typer.Option(help="How a queue gives the caller back: timeout, empty, full, key.")] = "",
    fail: Annotated[str, typer.Option(help="Lookups and acts that fail, with commas between.")] = "",
    db: Annotated[
        bool, typer.Option("--db", help="Look up in the database (read only) instead of the example.")
    ] = False,
) -> None:
    """Print what a caller hears who presses these keys. Nothing is stored."""
    try:
        asyncio.run(_simulate(flow, keys, now, caller, again, queue, fail, db))
    except UraError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None


async def _simulate(
    name: str, keys: str, now: datetime | None, caller: str, again: bool, queue: str, fail: str, db: bool
) -> None:
    config = settings.load()
    moment = (now or datetime.now(config.zone)).replace(tzinfo=None)
    failing = [each for each in fail.split(",") if each]
    example = ExampleProvider(now=moment, down=failing, broken=failing)
    texts = load_all(config.prompts_dir) | example.texts | {name_key(street): street for street in streets()}
    lookups: Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]] = example.lookup
    engine = make_engine(config.db_url) if db else None
    try:
        if engine:
            sessions = make_sessions(engine)
            flows = PublishedFlows(sessions, config.flows_dir, copy=False)
            await flows.refresh()
            flow = flows.find_current(name) or read_flow(name)
            lookups = Lookups(sessions, config, now=lambda: moment.replace(tzinfo=config.zone))
            async with sessions() as session:
                texts |= {row.key: row.text for row in await session.scalars(select(Prompt))}
        else:
            flow = read_flow(name)
        clips = read_manifest(config.prompts_dir / MANIFEST) | read_manifest(config.rendered_dir / MANIFEST)
        entries = [entry.strip() for entry in keys.split(",")] if keys else []
        channel = TerminalChannel(entries, texts, {key: clip.duration_s for key, clip in clips.items()}, typer.echo)
        call = SimulatedCall(uuid4().hex, PROTOCOL, phones.to_e164(caller) or "")
        facts = FirstFacts(
            call_id=call.call_id,
            caller=call.caller,
            caller_kind=phones.kind(call.caller).value,
            did="551133330001",
            number_kind="landline",
            now=moment.isoformat(timespec="minutes"),
            protocol=call.protocol,
            repeat_call=again,
        )
        async with open_house(config, moment.replace(tzinfo=config.zone)) as house:
            acts = house.acts(call)

            async def ask(name: str, args: dict[str, Json]) -> dict[str, Json]:
                """The demo's people are asked of the demo's house, also beside another database."""
                known = name in house.lookups.names and name not in failing
                return await (house.lookups if known else lookups)(name, args)

            async def act(name: str, args: dict[str, Json], *, key: str) -> dict[str, Json]:
                await example.act(name, args, key=key)
                return await acts(name, args, key=key)

            await run_call(flow, channel, facts=facts, lookups=ask, acts=act, queue_left=queue)
            sent = await house.messages()
    finally:
        if engine:
            await engine.dispose()
    for act_name, args in example.done:
        typer.echo(
            f"    stored: {act_name} " + ", ".join(f"{key}={value}" for key, value in args.items() if value is not None)
        )
    for message in sent:
        typer.echo(f"    {message.channel.value} {message.kind}: {message.state.value}")


@flow_commands.command("check")
def check(file: Annotated[Path, typer.Argument(help="A flow document in YAML.")]) -> None:
    """Say `ok`, or what must be put right before this flow can be published."""
    try:
        document = documents.load(file.read_text(encoding="utf-8"))
        known = asyncio.run(_known())
        others = {key: parse(other) for key, other in _other_flows(document).items()}
        remedies = [mistake.message for mistake in check_document(document, known=known, others=others)]
    except OSError as error:
        remedies = [f"{file}: {error.strerror}"]
    except UraError as error:
        remedies = [f"{file}: {error.message}"]
    if remedies:
        typer.echo("\n".join(remedies))
        raise typer.Exit(1)
    typer.echo("ok" if known.queues is not None else "ok (without a database: the names of queues were not checked)")


async def _known() -> Known:
    """What this installation has; without a database only what ships."""
    config = settings.load()
    prompts = load_all(config.prompts_dir)
    url = make_url(config.db_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return Known(prompts=prompts)
    engine = make_engine(config.db_url)
    try:
        async with make_sessions(engine)() as session:
            return await store.known_here(session, prompts)
    except (SQLAlchemyError, OSError):
        return Known(prompts=prompts)
    finally:
        await engine.dispose()
