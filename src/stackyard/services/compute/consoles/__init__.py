"""Consoles of servers: what they have printed, and sessions on their screen or serial line through a websocket.

A console's address holds a token that is good for one server's one console for a while. `remote` hands them out,
`tokens` keeps their hashes, `pages` serves the viewers (web/), `relay` carries the bytes.
"""

from __future__ import annotations

from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route
from stackyard.core.websockets import WebSocketRoute
from stackyard.services.compute.consoles import output, pages, relay, remote
from stackyard.services.compute.rules import ADMIN, MEMBER
from stackyard.services.compute.servers import finding
from stackyard.services.compute.servers.action_routes import Action

_CONSOLES = "os_compute_api:os-remote-consoles"
_TOKENS = "os_compute_api:os-console-auth-tokens"
_OUTPUT = "os_compute_api:os-console-output"
_LAST_OLD = Microversion(2, 5)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v2.1/servers/{server_id}/remote-consoles",
        remote.create,
        _CONSOLES,
        body=remote.body,
        envelope="remote_console",
        target=finding.load,
        since=Microversion(2, 6),
        edge=True,
    ),
    Route("GET", "/v2.1/os-console-auth-tokens/{token}", remote.show_token, _TOKENS),
    Route("GET", "/console/{file*}", pages.show, PUBLIC),
)

ACTIONS: tuple[Action, ...] = (
    Action(
        name="os-getVNCConsole",
        operation=remote.old_vnc,
        rule=_CONSOLES,
        body=remote.OldVnc,
        status=200,
        edge=True,
        until=_LAST_OLD,
    ),
    Action(
        name="os-getSerialConsole",
        operation=remote.old_serial,
        rule=_CONSOLES,
        body=remote.OldSerial,
        status=200,
        edge=True,
        until=_LAST_OLD,
    ),
    Action(
        name="os-getSPICEConsole",
        operation=remote.old_spice,
        rule=_CONSOLES,
        body=remote.OldSpice,
        status=200,
        edge=True,
        until=_LAST_OLD,
    ),
    Action(name="os-getRDPConsole", operation=remote.old_rdp, rule=_CONSOLES, edge=True, until=_LAST_OLD),
    Action(
        name="os-getConsoleOutput",
        operation=output.show,
        rule=_OUTPUT,
        body=output.Asked,
        status=200,
        edge=True,
    ),
)

WEBSOCKETS: tuple[WebSocketRoute, ...] = (WebSocketRoute(pages.SOCKET, relay.serve),)

POLICIES: tuple[Rule, ...] = (
    Rule(_CONSOLES, MEMBER, "Open a console of a server."),
    Rule(_TOKENS, ADMIN, "Show what a console's token opens."),
    Rule(_OUTPUT, MEMBER, "Read what a server has printed on its console."),
)
