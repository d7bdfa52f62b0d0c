"""The command `prosa`. What a command needs is imported when it runs, so that `--help` is there at once."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

app = typer.Typer(
    help="Prosa, the telephone service of an internet provider.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
prompts = typer.Typer(help="What callers hear.", no_args_is_help=True)
voices = typer.Typer(help="The synthetic voice.", no_args_is_help=True)
demo = typer.Typer(help="The demo provider.", no_args_is_help=True)
user = typer.Typer(help="Who may log in.", no_args_is_help=True)
token = typer.Typer(help="Programs that use the API.", no_args_is_help=True)
calls = typer.Typer(help="What is recorded of calls.", no_args_is_help=True)
imports = typer.Typer(help="Load what a provider has in CSV files.", no_args_is_help=True)
for name, group in {
    "db": db, "prompts": prompts, "voices": voices, "demo": demo, "user": user, "token": token, "import": imports,
    "calls": calls,
}.items():  # fmt: skip
    app.add_typer(group, name=name)

T = TypeVar("T")
FORWARD = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--no-help-here"]}


def main() -> None:
    app()


def _fail(message: object) -> NoReturn:
    typer.echo(str(message), err=True)
    raise typer.Exit(1)


def _settings() -> Any:
    from pydantic import ValidationError

    from ura import settings

    try:
        return settings.load()
    except ValidationError as error:
        _fail("\n".join(settings.troubles(error)))


def _forward(context: typer.Context, module: str, attribute: str) -> None:
    """Hand the rest of the command line to a command or group that another module defines."""
    target = getattr(import_module(module), attribute)
    command: Any
    if isinstance(target, typer.Typer):
        command = typer.main.get_group(target)
    else:
        single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
        single.command()(target)
        command = typer.main.get_command(single)
    command.main(args=context.args, prog_name=context.command_path)


# --- everything


@app.command()
def run(
    first_call: Annotated[bool, typer.Option(help="Call ourselves once before saying ready.")] = True,
) -> None:
    """Start everything in the foreground; Ctrl-C stops it."""
    from prosa.run import run as run_everything

    raise typer.Exit(asyncio.run(run_everything(_settings(), say=typer.echo, first_call=first_call)))


@app.command()
def call(
    number: Annotated[str, typer.Argument(help="The number to dial, such as 551133330001.")],
    keys: Annotated[
        str, typer.Option(help="Groups of keys with commas between, each pressed at the next prompt.")
    ] = "",
    from_: Annotated[str, typer.Option("--from", help="The caller's number.")] = "+5511987654321",
    listen: Annotated[float, typer.Option(help="Seconds to listen after the last key.")] = 30.0,
) -> None:
    """Place one real call and tell what the caller heard, with the second it began."""
    from prosa.caller import CallerError
    from prosa.calling import place

    groups = [group.strip() for group in keys.split(",") if group.strip()]
    if any(set(group) - set("0123456789*#ABCD") for group in groups):
        _fail(f"--keys {keys}: only 0-9, * and # can be pressed.")
    settings = _settings()
    try:
        outcome = asyncio.run(place(settings, number, say=typer.echo, keys=groups, from_=from_, listen_s=listen))
    except CallerError as error:
        _fail(error)
    typer.echo(outcome.line)
    if not outcome.answered:
        _fail(f"Is prosa running, with SIP on {settings.sip_host}:{settings.sip_port}? Ask: prosa doctor")


@app.command()
def doctor() -> None:
    """Look at every part; each red line says what puts it right."""
    from prosa.doctor import examine
    from ura import logs

    settings = _settings()
    logs.configure(environment=settings.environment, level="CRITICAL")  # what it finds is said below
    checks = asyncio.run(examine(settings))
    for check in checks:
        mark = typer.style("ok  ", fg="green") if check.well else typer.style("BAD ", fg="red", bold=True)
        typer.echo(f"{mark} {check.name}: {check.found}" + ("" if check.well else f"\n     -> {check.remedy}"))
    raise typer.Exit(0 if all(check.well for check in checks) else 1)


@calls.command("compare")
def compare_calls(
    days: Annotated[int, typer.Option(min=1, max=36500, help="Calls of the last so many days.")] = 7,
    file: Annotated[Path | None, typer.Option(help="Asterisk's list; left out: that of this house.")] = None,
) -> None:
    """Tell the calls that are not in Asterisk's own list and in our records, once each. Exit 1: there are some."""
    from prosa.comparing import compare

    try:
        found = asyncio.run(compare(_settings(), file, days=days))
    except OSError as error:
        _fail(f"Asterisk's list cannot be read: {error}. Where is it? --file …/cdr-csv/Master.csv")
    for odd in found.odd:
        typer.echo(odd)
    unreadable = f", {found.unreadable} lines could not be read" if found.unreadable else ""
    typer.echo(
        f"{found.asterisks} calls in Asterisk's list, {found.ours} in our records: {len(found.odd)} differ{unreadable}"
    )
    raise typer.Exit(1 if found.odd or found.unreadable else 0)


@app.command("erp-sim")
def erp_sim(
    system: Annotated[str, typer.Argument(help="sgp, hubsoft, ixc or mkauth")],
    port: Annotated[int, typer.Option(help="Where it listens, on this machine only.")] = 9101,
    control_port: Annotated[
        int, typer.Option(help="A second port, so that it can refuse connections on the first.")
    ] = 0,
    oddities: Annotated[str, typer.Option(help="Oddities of this system, with commas between.")] = "",
) -> None:
    """Imitate a provider's system with the demo's subscribers; Ctrl-C stops it."""
    from prosa.erp_sim.serve import MAKERS, make_gate, serve, settings_for

    if system not in MAKERS:
        _fail(f"{system} is none of {', '.join(MAKERS)}.")
    try:
        gate = make_gate(system, {name.strip() for name in oddities.split(",") if name.strip()})
    except ValueError as error:
        _fail(error)
    for name, value in settings_for(system, port).items():
        typer.echo(f"{name}={value}")
    try:
        asyncio.run(serve(gate, port=port, control_port=control_port))
    except OSError as error:
        _fail(f"Port {port}: {error.strerror}")
    except KeyboardInterrupt:
        raise typer.Exit() from None


# --- flows


@app.command(context_settings=FORWARD)
def simulate(context: typer.Context) -> None:
    """Walk through a flow in the terminal, with no telephone."""
    _forward(context, "prosa.simulate", "simulate")


@app.command(context_settings=FORWARD)
def flow(context: typer.Context) -> None:
    """Check flow documents before they are published."""
    _forward(context, "prosa.simulate", "flow_commands")


# --- database and content


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="A new file, such as /backups/prosa-2026-11-23.tar.gz.")]) -> None:
    """Put the whole house into one file, beside calls: database, journal, recordings, prompts, secrets."""
    from prosa.backup import back_up

    settings = _settings()
    kept = _or_refusal(back_up(settings, file))
    typer.echo(f"{file}: {kept.database}, {kept.files} files, {kept.size / 1_000_000:.1f} MB")
    if settings.secret_key.get_secret_value():
        typer.echo("PROSA_SECRET_KEY is not in it. Keep that somewhere else: without it no document can be read.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What prosa backup made.", exists=True, dir_okay=False)]) -> None:
    """Put a backup back, into an empty state folder and an empty database. Then: prosa run."""
    from prosa.backup import restore as put_back

    kept = _or_refusal(put_back(_settings(), file))
    typer.echo(f"As it was on {kept.made_at:%Y-%m-%d %H:%M} UTC: {kept.database}, {kept.files} files. Next: prosa run")


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to the newest version."""
    from ura.migrate import upgrade

    settings = _settings()
    asyncio.run(upgrade(settings.db_url))
    typer.echo("The database is up to date.")


@db.command("reseal")
def db_reseal() -> None:
    """Seal subscribers' documents anew after PROSA_SECRET_KEY was changed; PROSA_SECRET_KEYS_BEFORE has the old one."""
    from prosa.resealing import reseal

    changed = _or_refusal(reseal(_settings()))
    typer.echo(f"{changed} documents sealed anew. PROSA_SECRET_KEYS_BEFORE is needed no more.")


@demo.command("load")
def demo_load() -> None:
    """Load the demo provider into an empty database."""
    from prosa.setup import demo_into_empty

    typer.echo(_or_refusal(demo_into_empty(_settings())))


@user.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="E-mail or log-in name.")],
    role: Annotated[str, typer.Option(help="admin, supervisor, attendant, technician or owner")] = "attendant",
    name: Annotated[str, typer.Option(help="Name to be shown.")] = "",
    password: Annotated[str, typer.Option(help="Asked for when not given.", prompt=True, hide_input=True)] = "",
) -> None:
    """Let somebody log in."""
    from prosa.setup import add_user

    typer.echo(_or_refusal(add_user(_settings(), email=email, role=role, name=name, password=password)))


@user.command("password")
def user_password(
    email: Annotated[str, typer.Argument(help="E-mail or log-in name.")],
    password: Annotated[str, typer.Option(help="Asked for when not given.", prompt=True, hide_input=True)] = "",
) -> None:
    """Give somebody a new password, and log them out everywhere."""
    from prosa.setup import change_password

    typer.echo(_or_refusal(change_password(_settings(), email=email, password=password)))


@user.command("disable")
def user_disable(email: Annotated[str, typer.Argument(help="E-mail or log-in name.")]) -> None:
    """Log somebody out everywhere and for good."""
    from prosa.setup import disable_user

    typer.echo(_or_refusal(disable_user(_settings(), email=email)))


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who will use it, such as erp.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="A permission; may be given again. Without any: which there are.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it holds.")] = 365,
) -> None:
    """Make a token for a program that uses /api/v1. It is shown once."""
    from prosa.setup import create_token

    typer.echo(_or_refusal(create_token(_settings(), name=name, scopes=scope or [], days=days)))


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="As it was created.")]) -> None:
    """Let a token open nothing any more, at once."""
    from prosa.setup import revoke_token

    typer.echo(_or_refusal(revoke_token(_settings(), name=name)))


def _or_refusal(work: Coroutine[Any, Any, T]) -> T:
    """The result; what the house or the disk refuses is said in its own words."""
    from ura.errors import UraError

    try:
        return asyncio.run(work)
    except UraError as error:
        _fail(error.message)
    except OSError as error:
        _fail(error)


IMPORTED = {  # as ura.imports.ImportKind; contracts go in after their subscribers, invoices after their contracts
    "neighbourhoods": "City, neighbourhood, other names, covered or not, forecast, CEPs.",
    "plans": "Plans with speed, price, set-up, conditions and when they are valid.",
    "offers": "Which plan is offered in which neighbourhood.",
    "subscribers": "Document, name, birth, telephones, e-mails.",
    "contracts": "Number, document, status, address, plan, log-in, place in the network. After the subscribers.",
    "invoices": "Number, contract, due date, amount, paid or open, line, PIX. After the contracts.",
    "hours": "When a timetable is open: name, weekday, from, to; in place of what it had.",
    "holidays": "Days that only a town keeps; with a timetable, only that branch. After the hours.",
    "queues": "Key, title, timetable, longest wait in seconds, state. After the hours.",
    "numbers": "That callers dial: kind, name, flow or queue. After the queues; Asterisk has them half a minute later.",
    "attendants": "Name, extension, queues, active. After the queues; Asterisk has them half a minute later.",
}


def _importer(kind: str) -> Callable[[Path, bool], None]:
    def store(
        file: Annotated[Path, typer.Argument(help="CSV with ; or , in UTF-8 or Latin-1.", exists=True, dir_okay=False)],
        yes: Annotated[bool, typer.Option("--yes", help="Store it without asking.")] = False,
    ) -> None:
        from prosa.importing import run as import_file

        def confirm() -> bool:
            return yes or typer.confirm("Store this?")

        _or_refusal(import_file(_settings(), kind, file, say=typer.echo, confirm=confirm))

    return store


for kind, told in IMPORTED.items():
    imports.command(kind, help=told)(_importer(kind))


# --- voice


@prompts.command("build")
def prompts_build(
    engines: Annotated[str, typer.Option(help="Instead of PROSA_TTS_ENGINES, with commas between.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Render what did not change, too.")] = False,
) -> None:
    """Render the prompts whose text or voice changed."""
    from ura.errors import UraError
    from ura.rendering import build

    def progress(done: int, total: int, key: str) -> None:
        typer.echo(f"\r{done}/{total} {key:<60}", nl=done == total)

    chosen = [engine.strip() for engine in engines.split(",") if engine.strip()]
    try:
        report = build(_settings(), engines=chosen or None, everything=everything, progress=progress)
    except UraError as error:
        _fail(error.message)
    typer.echo(str(report))
    raise typer.Exit(1 if report.failed else 0)


@voices.command("install")
def voices_install(
    source: Annotated[Path | None, typer.Option(help="A folder that has the model's files already.")] = None,
) -> None:
    """Fetch the Kokoro voice, about 310 MB."""
    from ura.adapters.voices import install
    from ura.errors import UraError

    try:
        install(_settings(), source=source, say=typer.echo)
    except UraError as error:
        _fail(error.message)


if __name__ == "__main__":
    main()
