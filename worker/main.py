"""The clock door: journals into the database, Asterisk's events, deliveries. `python -m worker`."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from datetime import datetime
from functools import partial

import httpx
import structlog
import uvloop

from ura import addresses, contacts, health, invoice_copies, invoice_documents, logs, promises, queues, settings
from ura.adapters import erp as erp_adapters
from ura.adapters import network as network_adapters
from ura.adapters.ami import Ami
from ura.adapters.cti import CtiPush
from ura.adapters.demo_inbox import DemoInbox
from ura.adapters.erp import ErpMetrics
from ura.adapters.mail import Mail
from ura.adapters.outbound_http import CONFIGURED, Reach
from ura.adapters.outbound_http import client as guarded_client
from ura.adapters.sms import HttpSms, SmsApi
from ura.adapters.webhooks import WebhookPost
from ura.adapters.whatsapp import WhatsApp
from ura.adapters.zenvia import Zenvia
from ura.crypto import Keyring
from ura.db import Sessions, make_engine, make_sessions
from ura.erp import Erp, SendChannel
from ura.gateways import Gateway, open_channels, phone_channel
from ura.invoice_links import InvoiceLinks
from ura.journal import Journal
from ura.messages import InvoiceToSend, Payload, Writer, no_link
from ura.metrics import MetricsFile
from ura.protocol import Protocols
from worker.ami_events import BEAT_S, AmiEvents
from worker.announcements import Announcements, render_at_once
from worker.cti import CtiNews
from worker.deliveries import Deliveries, Hours
from worker.erp_requests import ErpRequests
from worker.escalation import Escalation
from worker.incidents import Incidents
from worker.notices import Notices
from worker.person_requests import PersonRequests
from worker.projector import Projector
from worker.promises import Promises
from worker.recovery import Recovering
from worker.retention import Retention
from worker.sales import Sales
from worker.schedules import Housekeeping, every, render_waiting_names
from worker.webhooks import Webhooks

log = structlog.get_logger(__name__)


def make_gateways(config: settings.Settings, client: httpx.AsyncClient) -> dict[SendChannel, Gateway]:
    """The ways out that are set up; in development the demo inbox takes what has none."""
    made: dict[SendChannel, Gateway] = {}
    if config.environment == "development":
        made = dict.fromkeys(SendChannel, DemoInbox(config.inbox_dir))
    if config.sms_url:
        made[SendChannel.SMS] = HttpSms(SmsApi.from_settings(config), client)
    if token := config.zenvia_token.get_secret_value():
        made[SendChannel.SMS] = Zenvia(client, url=config.zenvia_url, token=token, sender=config.zenvia_from)
    if token := config.whatsapp_token.get_secret_value():
        made[SendChannel.WHATSAPP] = WhatsApp(
            client, url=config.whatsapp_url, phone_id=config.whatsapp_phone_id, token=token
        )
    if config.smtp_host:
        made[SendChannel.EMAIL] = Mail(
            host=config.smtp_host,
            port=config.smtp_port,
            security=config.smtp_security,
            sender=config.mail_from,
            user=config.smtp_user,
            password=config.smtp_password.get_secret_value(),
        )
    return made


async def _invoice(erp: Erp, config: settings.Settings, wanted: Payload) -> InvoiceToSend:
    today = datetime.now(config.zone).date()
    copy = await invoice_copies.find_copy(erp, wanted, today=today)
    if config.erp != "local":  # it has a document of its own, or a page
        return copy
    return await invoice_documents.with_document(copy, erp, wanted, payee=config.provider_name, today=today)


def make_writer(config: settings.Settings, sessions: Sessions, erp: Erp) -> Writer:
    """What writes messages at the moment they go, from what the provider's system says then."""
    links = InvoiceLinks(Keyring.of(config), config.public_url) if config.public_url else None
    return Writer(
        sessions,
        zone=config.zone,
        provider=config.provider_name,
        contact=partial(contacts.find_address, erp),
        invoice=partial(_invoice, erp, config),
        link=links.make if links else no_link,
        owed=partial(promises.still_owed, sessions, erp, zone=config.zone),
    )


def cti_news(
    config: settings.Settings, sessions: Sessions, client: httpx.AsyncClient
) -> list[Coroutine[None, None, None]]:
    """Off unless somebody says where: a customer's number leaves the house."""
    url = config.cti_url.get_secret_value()
    return [CtiNews(sessions, CtiPush(client, url)).run()] if url else []


async def serve(config: settings.Settings) -> None:
    """Until SIGTERM or SIGINT; then what lies in the journals is applied once more."""
    engine = make_engine(config.db_url)
    sessions = make_sessions(engine, config.place)
    journal = Journal(config.journal_dir, "worker")
    figures = MetricsFile(config.state_dir, "worker")
    erp = erp_adapters.from_settings(config, sessions, metrics=ErpMetrics(figures.registry))
    network = network_adapters.from_settings(config, sessions, erp)
    requests = ErpRequests(sessions, erp, network)
    client = guarded_client(CONFIGURED)
    outward = guarded_client(Reach(addresses.networks(config.outbound_networks)))
    hours = Hours(config.message_first_hour, config.message_last_hour, config.zone)
    by_phone = phone_channel(open_channels(config))
    deliveries = Deliveries(sessions, make_gateways(config, client), make_writer(config, sessions, erp), hours)
    wakes = {"message_queued": deliveries.wake, "erp_requested": requests.wake}
    housekeeping = Housekeeping(
        sessions,
        message_days=config.message_days,
        inbox_dir=config.inbox_dir,
        news_by=by_phone,
    )
    projector = Projector(config.journal_dir, sessions, wakes, mirror=config.mirrors_tickets)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    beat = partial(health.beat, config.state_dir)
    protocols = Protocols(config.state_dir / "protocol", config.node)
    ami = AmiEvents(
        Ami.from_settings(config),
        journal,
        sessions,
        config.live_dir,
        alive=partial(beat, "asterisk"),
        draw_protocol=lambda: protocols.next(datetime.now(config.zone).date()),
    )
    runs = (
        projector.run(),
        deliveries.run(),
        requests.run(),
        Notices(sessions, erp).run(),
        Incidents(sessions, by=by_phone).run(),
        Promises(sessions, erp, zone=config.zone, may_ring=hours.open_at, by=by_phone).run(),
        ami.run(),
        housekeeping.run(),
        Announcements(sessions, config.rendered_dir, render_at_once).run(),
        Recovering(sessions, may_ring=hours.open_at, by=by_phone).run(),
        render_waiting_names(config),
        Sales(sessions, config).run(),
        Escalation(sessions).run(),
        Retention(sessions, erp, config).run(),
        PersonRequests(sessions, erp, config).run(),
        Webhooks(sessions, Keyring.of(config), WebhookPost(outward)).run(),
        every(BEAT_S, partial(beat, "worker")),
        figures.run(),
        *cti_news(config, sessions, client),
    )
    tasks = [asyncio.create_task(run) for run in runs]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    journal.close()
    with contextlib.suppress(Exception):  # the database may be away: then the next start applies it
        while await projector.step():
            pass
    await client.aclose()
    await outward.aclose()
    await network.close()
    await erp.close()
    await engine.dispose()


def main() -> None:
    config = settings.load_for("worker", "secret_key", "ami_secret")
    logs.configure(environment=config.environment, level=config.log_level)
    queues.public_holidays(config.state_uf, datetime.now(config.zone).year)  # 8 MB of calendars: now, not in a rush
    uvloop.run(serve(config))
