"""Run by Alembic. ura.migrate hands over a connection; `alembic` alone takes the address from the settings."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import ura.models
from ura import settings
from ura.db import Base, Moment

assert ura.models.__all__  # imported for the tables it defines


def render_item(kind: str, item: Any, autogen: Any) -> str | bool:
    """Written migrations say `Moment()` and import it."""
    if kind == "type" and isinstance(item, Moment):
        autogen.imports.add("from ura.db import Moment")
        return "Moment()"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    engine = create_async_engine(settings.load().db_url)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_alone())
