"""Ends a subscriber's session at the NAS, so that the router dials in anew: RADIUS Disconnect-Request, RFC 5176."""

import asyncio
import time
from pathlib import Path
from typing import Protocol

import structlog
from pyrad.client import Client, Timeout
from pyrad.dictionary import Dictionary
from pyrad.packet import DisconnectACK, DisconnectNAK, DisconnectRequest, PacketError

from ura.adapters.accounting import NAME, RadiusSession, utc_now
from ura.erp import Answer, Contract, ErpUnavailable, Reply, Unsupported

log = structlog.get_logger(__name__)

DICTIONARY = Path(__file__).with_suffix(".dictionary")
COA_PORT = 3799
TRIES, TRY_S = 2, 1.5
NO_SUCH_SESSION = 503  # Error-Cause "Session Context Not Found": it is gone already, which is what was wanted


class FindsSession(Protocol):
    async def find_session(self, login: str) -> RadiusSession | None: ...


class RadiusReset:
    """`secret` is the one that the NASes share with us for changes (CoA)."""

    name = NAME

    def __init__(self, accounting: FindsSession, *, secret: str, port: int = COA_PORT) -> None:
        self._accounting = accounting
        self._secret = secret.encode()
        self._port = port
        self._dictionary = Dictionary(str(DICTIONARY))

    async def reset(self, contract: Contract, *, key: str) -> Reply[bool]:
        """True: the session has ended. False: there was none, or the NAS refuses. The newest session is ended,
        so asked twice it cuts the one that has come up since: ura.erp_requests asks once. Raises ErpUnavailable when
        the NAS does not answer."""
        if not contract.access.login:
            return Unsupported(NAME, "reset")
        session = await self._accounting.find_session(contract.access.login)
        if session is None or session.stopped_at is not None:
            return Answer(False, NAME, utc_now())
        ended = await asyncio.to_thread(self._disconnect, contract.access.login, session)
        return Answer(ended, NAME, utc_now())

    def _disconnect(self, login: str, session: RadiusSession) -> bool:
        """Blocks for TRIES × TRY_S at the most: pyrad's client waits in `select`."""
        client = Client(session.nas, coaport=self._port, secret=self._secret, dict=self._dictionary)
        client.retries, client.timeout = TRIES, TRY_S
        request = client.CreateCoAPacket(code=DisconnectRequest)
        request["User-Name"] = login
        request["Acct-Session-Id"] = session.id
        request["Event-Timestamp"] = int(time.time())
        if session.address:
            request["Framed-IP-Address"] = session.address
        request.add_message_authenticator()
        try:
            reply = client.SendPacket(request)
        except (Timeout, OSError, PacketError) as error:
            raise ErpUnavailable(f"the NAS does not answer: {type(error).__name__}", maybe_done=True) from error
        finally:
            client._CloseSocket()
        cause = reply.get("Error-Cause", [0])[0] if reply.code == DisconnectNAK else 0
        if reply.code == DisconnectNAK:
            log.info("the NAS does not end the session", error_cause=cause)
        return bool(reply.code == DisconnectACK or cause == NO_SUCH_SESSION)
