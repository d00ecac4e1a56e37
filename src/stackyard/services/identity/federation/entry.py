"""From an assertion to the user here: the mapping is evaluated between two transactions, since it takes its time."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError
from stackyard.services.identity.federation import shadow, way_in
from stackyard.services.identity.federation.assertion import Assertion
from stackyard.services.identity.federation.mapping.engine import Mapped
from stackyard.services.identity.federation.way_in import WayIn
from stackyard.services.identity.tokens.payload import Federation

log = logging.getLogger("stackyard.identity")

Entered = tuple[Row[Any], Federation | None]


async def sign_in(call: Call, idp_id: str, protocol_id: str, assertion: Assertion) -> Entered:
    """The user that an assertion comes to, found or made, and where he signed in: None for a local user.

    Raises what `way_in.find` and `shadow.enter` raise; why somebody could not sign in is logged.
    """
    try:
        way = await call.read("federated sign-in: way in", way_in.find, call, idp_id, protocol_id, assertion)
        mapped = await call.in_thread(way.mapped, assertion)
        return await call.write("federated sign-in", _enter, call, way, mapped, assertion)
    except ApiError as error:
        fields = {"identity_provider": idp_id[:64], "protocol": protocol_id[:64], "reason": error.message}
        log.info("federated sign-in refused", extra=fields)
        raise


def _enter(tx: Transaction, call: Call, way: WayIn, mapped: Mapped, assertion: Assertion) -> Entered:
    now = way_in.find(tx, call, way.idp_id, way.protocol_id, assertion)
    return shadow.enter(tx, call, now, mapped if now == way else now.mapped(assertion))
