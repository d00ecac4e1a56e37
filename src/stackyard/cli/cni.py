"""`stackyard-cni`: what a container runtime runs to put a pod on a tenant network.

It hands its environment and standard input to the running cloud and prints what that answers. A runtime runs it for
each pod, and more than once: only what takes no time to load is imported.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

VERSIONS = ("0.4.0", "1.0.0", "1.1.0")
DEFAULT_STATE_DIR = "/var/lib/stackyard"
COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
INVALID_ENVIRONMENT, UNDECODABLE, TRY_LATER = 4, 6, 11
SECONDS = 60


def main() -> int:
    """Entry point; returns the exit status."""
    command = os.environ.get("CNI_COMMAND", "")
    text = sys.stdin.buffer.read()
    if command == "VERSION":
        return _say({"cniVersion": VERSIONS[-1], "supportedVersions": list(VERSIONS)}, 0)
    try:
        config = json.loads(text)
        version = str(config.get("cniVersion", VERSIONS[-1]))
    except (ValueError, AttributeError, RecursionError) as error:
        return _fail(VERSIONS[-1], UNDECODABLE, "the network configuration is not a JSON object", str(error))
    if command not in COMMANDS:
        return _fail(version, INVALID_ENVIRONMENT, f"CNI_COMMAND is {command!r}", "")
    state_dir = config.get("state_dir") or os.environ.get("STACKYARD_STATE_DIR") or DEFAULT_STATE_DIR
    request = {name: os.environ.get(f"CNI_{name.upper().replace('_', '')}", "") for name in _VARIABLES}
    try:
        answer = _ask(os.path.join(str(state_dir), "cni.sock"), {**request, "config": config})  # noqa: PTH118  late
    except (OSError, ValueError) as error:
        return _fail(
            version, TRY_LATER, f"the cloud in {state_dir} does not answer: `stackyard up` starts it", str(error)
        )
    if "code" in answer:
        return _fail(version, answer["code"], answer["msg"], answer["details"])
    return _say(answer, 0) if answer else 0


_VARIABLES = ("command", "container_id", "netns", "ifname", "args")


def _say(answer: dict[str, Any], status: int) -> int:
    sys.stdout.write(json.dumps(answer) + "\n")
    return status


def _fail(version: str, code: int, message: str, details: str) -> int:
    return _say({"cniVersion": version, "code": code, "msg": message, "details": details}, 1)


def _ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """One HTTP request on the cloud's socket; raises OSError, ValueError."""
    body = json.dumps(request).encode()
    head = f"POST /cni HTTP/1.1\r\nHost: cni\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(head.encode() + body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head_of_answer, end, content = received.partition(b"\r\n\r\n")
    if not end or b" 200 " not in head_of_answer.split(b"\r\n", 1)[0]:
        raise ValueError(f"it answers {received[:100]!r}")
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError(f"it answers {content[:100]!r}")
    return answer


if __name__ == "__main__":
    sys.exit(main())
