"""Handing out addresses of consoles, and telling what a token opens."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlencode

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Gone, NotFound
from stackyard.core.microversion import Microversion
from stackyard.services.compute.consoles import elsewhere, pages, tokens
from stackyard.services.compute.consoles.access import as_api_errors, driver_of, refuse_leaving

_OFFERED = {"vnc": ("novnc", pages.VNC), "serial": ("serial", pages.SERIAL)}
"""By protocol, the type of console, and the page that shows it."""

_Type = Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5"]
_TypeSince8 = Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks"]
_TypeSince99 = Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks", "spice-direct"]


class Asked(Body):
    """A console, by protocol and type."""

    protocol: Literal["vnc", "spice", "serial", "rdp"]
    type: _Type


class AskedSince8(Body):
    """With MKS."""

    protocol: Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: _TypeSince8


class AskedSince99(Body):
    """With the direct SPICE console."""

    protocol: Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: _TypeSince99


def body(version: Microversion | None) -> type[Body]:
    """What stands under `remote_console` at a microversion."""
    if version is None or version >= (2, 99):
        return AskedSince99
    return AskedSince8 if version >= (2, 8) else Asked


class OldVnc(Body):
    """os-getVNCConsole."""

    type: Literal["novnc", "xvpvnc"]


class OldSerial(Body):
    """os-getSerialConsole."""

    type: Literal["serial"]


class OldSpice(Body):
    """os-getSPICEConsole."""

    type: Literal["spice-html5"]


async def create(call: Call) -> dict[str, Any]:
    """POST /servers/{id}/remote-consoles."""
    asked = call.body
    url = await _open(call, asked.protocol, asked.type)
    return {"remote_console": {"protocol": asked.protocol, "type": asked.type, "url": url}}


async def old_vnc(call: Call, asked: OldVnc) -> dict[str, Any]:
    """os-getVNCConsole."""
    return {"console": {"type": asked.type, "url": await _open(call, "vnc", asked.type)}}


async def old_serial(call: Call, asked: OldSerial) -> dict[str, Any]:
    """os-getSerialConsole."""
    return {"console": {"type": asked.type, "url": await _open(call, "serial", asked.type)}}


async def old_spice(call: Call, asked: OldSpice) -> dict[str, Any]:
    """os-getSPICEConsole: refused."""
    return {"console": {"type": asked.type, "url": await _open(call, "spice", asked.type)}}


async def old_rdp(call: Call, asked: Any) -> None:
    """os-getRDPConsole: gone with the hypervisor that had it."""
    del call, asked
    raise Gone("RDP consoles were those of Hyper-V, which Nova no longer drives.")


async def _open(call: Call, protocol: str, kind: str) -> str:
    """The address of a console; raises BadRequest for a type that there is not, Conflict when the server has none."""
    server = call.target
    offered, page = _OFFERED.get(protocol, ("", ""))
    if not offered:
        raise BadRequest(f"Unavailable console type {kind}.", kind="ConsoleTypeUnavailable")
    if kind != offered:
        raise BadRequest(f"Invalid console type {kind}", kind="ConsoleTypeInvalid")
    refuse_leaving(server, f"get_{protocol}_console")
    if elsewhere.is_elsewhere(call.runtime, server.host):
        with as_api_errors(call, server):
            await call.in_thread(elsewhere.check, call.runtime, server, protocol)
    else:
        driver = driver_of(call.runtime, server)
        if protocol not in driver.abilities:
            raise BadRequest(f"Unavailable console type {kind}.", kind="ConsoleTypeUnavailable")
        with as_api_errors(call, server):
            await call.in_thread(driver.console, server.id, protocol)  # there is one, and it answers to us
    lifetime = call.runtime.settings.compute.console_token_lifetime
    token = await call.write("consoles.issue", tokens.issue, server, protocol, lifetime)
    mount = call.request.scope.get("stackyard.mount", call.service.mount)
    socket = f"{mount}{pages.SOCKET}?token={token}".lstrip("/")
    return f"{call.url(page)}?{urlencode({'path': socket})}"


def show_token(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-console-auth-tokens/{token}: which server's console it opens.

    A console is a Unix socket of the host, which no TCP port leads to: the port is 0.
    """
    if not call.since(2, 31):
        raise BadRequest("Tokens of consoles are shown from microversion 2.31 on.")
    if call.since(2, 99) and call.query.keys():
        raise BadRequest(f"Additional properties are not allowed ({', '.join(call.query.keys())[:255]})")
    found = tokens.find(tx, call.path["token"])
    if found is None:
        raise NotFound("Token not found")
    return {
        "console": {
            "instance_uuid": found.server_id,
            "host": found.host,
            "port": 0,
            "internal_access_path": None,
        }
    }
