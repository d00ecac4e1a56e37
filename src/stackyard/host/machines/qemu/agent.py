"""The agent inside of a machine (qemu-guest-agent), where its image says that it has one."""

from __future__ import annotations

import base64
import json
import secrets
import socket
from typing import Any

from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.qemu import monitor
from stackyard.host.machines.qemu.hardware import Hardware
from stackyard.host.machines.qemu.home import Home

_SECONDS = 10.0
_DELIMITER = b"\xff"
_LONGEST = 65536


def set_password(home: Home, user: str, password: str) -> None:
    """Change a user's password. SpecError: the image has no agent; HostError: it does not answer."""
    if not Hardware.of(home.live().properties).agent:
        raise SpecError("the image does not say hw_qemu_guest_agent=yes: there is nobody inside to change a password")
    encoded = base64.b64encode(password.encode()).decode()
    arguments = {"username": user, "password": encoded, "crypted": False}
    with monitor.connect(home.socket("agent"), _SECONDS) as channel:
        _synchronise(channel)
        answer = _call(channel, "guest-set-user-password", arguments)
    if "error" in answer:
        raise SpecError(f"the agent inside refuses: {answer['error'].get('desc', 'no reason')}")


def _synchronise(channel: socket.socket) -> None:
    """Skip what an earlier, broken conversation left."""
    number = secrets.randbelow(1 << 31)
    channel.sendall(_DELIMITER)
    answer = _call(channel, "guest-sync-delimited", {"id": number})
    if answer.get("return") != number:
        raise HostError("the agent inside answers something else")


def _call(channel: socket.socket, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    said = b""
    while not said.endswith(b"\n"):
        try:
            chunk = channel.recv(4096)
        except TimeoutError:
            raise HostError("the agent inside does not answer") from None
        if not chunk or len(said) > _LONGEST:
            raise HostError("the agent inside does not answer")
        said += chunk
    found: dict[str, Any] = json.loads(said.rpartition(_DELIMITER)[2])
    return found
