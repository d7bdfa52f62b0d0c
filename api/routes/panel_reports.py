"""The panel's page of a flow's figures."""

from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from api import pages
from api.deps import ReportReader, SessionDep, WiredDep
from api.reader import titles_in
from api.routes.reports import USUAL_DAYS, period
from ura import numbers, reports
from ura.errors import BadInput, NotFound
from ura.flows import store
from ura.flows.published import DEFAULT_FLOW

router = APIRouter(prefix="/panel/reports", include_in_schema=False, default_response_class=HTMLResponse)

Given = Annotated[str, Query(max_length=64)]


@router.get("")
async def show_report(
    request: Request,
    session: SessionDep,
    things: WiredDep,
    _actor: ReportReader,
    flow_key: Given = DEFAULT_FLOW,
    version: Given = "",
    first: Annotated[str, Query(max_length=20)] = "",
    last: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """What a form sends and cannot be is told, and the usual days are shown."""
    zone = things.settings.zone
    problem = False
    until = datetime.now(zone).date()
    since = until - timedelta(days=USUAL_DAYS - 1)
    try:
        wanted = date.fromisoformat(first) if first else None, date.fromisoformat(last) if last else None
        moments = period(*wanted, zone)
        until = wanted[1] or until
        since = wanted[0] or until - timedelta(days=USUAL_DAYS - 1)
    except (BadInput, ValueError):
        problem = True
        moments = period(since, until, zone)
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None
    found = await reports.flow_figures(
        session, flow_key=flow_key, version=number or None, since=moments[0], until=moments[1]
    )
    titles: dict[str, str] = {}
    if found.version is not None:
        with suppress(NotFound):  # a flow that was only on disk: its nodes are shown by their keys
            titles = titles_in((await store.get_version(session, flow_key, found.version)).document)
    return pages.page(
        request,
        "reports.html",
        here="reports",
        status=422 if problem else 200,
        problem=problem,
        report=found,
        titles={node.node: titles.get(node.node) or node.node.replace("_", " ") for node in found.nodes},
        flows=await numbers.list_flows(session),
        first=since.isoformat(),
        last=until.isoformat(),
    )
