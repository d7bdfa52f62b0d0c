"""`prosa db reseal`: after a change of the secret key, documents and webhooks' secrets are sealed with the new one. May
run beside calls, and be broken off and repeated."""

from ura import people, registry, webhooks
from ura.crypto import Keyring
from ura.db import make_engine, make_sessions
from ura.settings import Settings


async def reseal(settings: Settings) -> int:
    """How many were changed: documents, and whose requests and holds there are. Raises CannotOpen for one whose key is
    not here: nothing is lost, nothing goes on."""
    keyring = Keyring.of(settings)
    engine = make_engine(settings.db_url)
    try:
        sessions = make_sessions(engine)
        after = 0
        async with sessions.begin() as session:
            changed = await webhooks.reseal(session, keyring) + await people.reseal(session, keyring)
        while True:
            async with sessions.begin() as session:
                after, done = await registry.reseal(session, keyring, after=after)
            changed += done
            if not after:
                return changed
    finally:
        await engine.dispose()
