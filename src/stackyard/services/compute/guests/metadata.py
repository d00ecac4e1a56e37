"""Answers what servers ask of 169.254.169.254, in OpenStack's format and in EC2's.

Which port a request comes from has been found out by where it came in and from which address, which the port's
anti-spoofing vouches for; no header says who asks, so none can be forged. The port must be one that compute itself has
plugged into the server: the name of a device that a user wrote into his own port opens nothing.
"""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.network.metadata import MetadataReply, MetadataRequest
from stackyard.services.compute.guests import ec2, openstack, password
from stackyard.services.compute.guests.facts import Guest, as_json, gather
from stackyard.services.compute.servers import finding
from stackyard.services.compute.tables import servers

_SYSTEM_METADATA = sa.update(servers).where(servers.c.id == bindparam("key")).values(system_metadata=bindparam("new"))
_JSON = {"content-type": "application/json"}


class ServerMetadata:
    """Speaks for the ports of servers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def answer(self, port: Any, request: MetadataRequest) -> MetadataReply:
        """The reply to a server's request that came from its `port`."""
        database = self._runtime.database
        guest = database.read("metadata.server", guest_behind, self._runtime, port)
        if guest is None:
            return _missing(request)
        parts = parse(request.path)
        if parts[:1] == ["openstack"] and parts[2:] == [openstack.PASSWORD] and openstack.resolve(parts[1]):
            if openstack.PASSWORD not in openstack.names(guest, openstack.resolve(parts[1]) or ""):
                return _missing(request)
            return self._password(guest, request)
        if request.method not in ("GET", "HEAD"):
            return MetadataReply(405, {"allow": "GET, HEAD"}, b"This can only be read.\n")
        return lookup(guest, parts) or _missing(request)

    def _password(self, guest: Guest, request: MetadataRequest) -> MetadataReply:
        if request.method in ("GET", "HEAD"):
            return MetadataReply(200, body=password.read(guest.server.system_metadata).encode())
        if request.method != "POST":
            return MetadataReply(400, body=b"GET and POST only are supported.\n")
        if len(request.body) > password.LIMIT:
            return MetadataReply(400, body=b"The request is too large.\n")
        try:
            text = request.body.decode("ascii")
        except UnicodeDecodeError:
            return MetadataReply(400, body=b"An encrypted password is base64.\n")
        if "\x00" in text:
            return MetadataReply(400, body=b"An encrypted password is base64.\n")
        kept = self._runtime.database.write("metadata.password", keep_password, guest.server.id, text)
        return MetadataReply(200) if kept else MetadataReply(409, body=b"There is a password already.\n")


def guest_behind(tx: Transaction, runtime: Runtime, port: Any) -> Guest | None:
    """The server that has this port, if compute has plugged it in."""
    server = finding.by_id(tx, port.device_id)
    if server is None or all(item["port"] != port.id for item in server.interfaces):
        return None
    return gather(tx, runtime, server)


def keep_password(tx: Transaction, server_id: str, text: str) -> bool:
    """Keep the password unless there is one; whether it was kept."""
    server = finding.by_id(tx, server_id)
    if server is None or password.read(server.system_metadata):
        return False
    tx.execute(_SYSTEM_METADATA, {"key": server_id, "new": password.stored(server.system_metadata, text)})
    return True


def parse(path: str) -> list[str]:
    """The parts of a request's path; `..` leads nowhere above the root."""
    plain = posixpath.normpath("/" + unquote(path.partition("?")[0], errors="replace"))
    return [part for part in plain.split("/") if part]


def lookup(guest: Guest, parts: list[str]) -> MetadataReply | None:
    """What is at a path; None when there is nothing."""
    if parts[:1] == ["openstack"]:
        return _openstack(guest, parts[1:])
    return _ec2(guest, parts[1:] if parts[:1] == ["ec2"] else parts)


def _openstack(guest: Guest, parts: list[str]) -> MetadataReply | None:
    if not parts:
        return _text("\n".join((*openstack.VERSIONS, "latest")).encode())
    version = openstack.resolve(parts[0])
    if version is None:
        return None
    names = openstack.names(guest, version)
    if len(parts) == 1:
        return _text("\n".join(names).encode())
    name = "/".join(parts[1:])
    if name not in names:
        return None
    content = openstack.document(guest, version, name)
    return _text(content) if isinstance(content, bytes) else MetadataReply(200, _JSON, as_json(content))


def _ec2(guest: Guest, parts: list[str]) -> MetadataReply | None:
    if not parts:
        return _text("\n".join((*ec2.VERSIONS, "latest")).encode())
    version = ec2.resolve(parts[0])
    if version is None:
        return None
    try:
        return _text(ec2.shown(ec2.find(ec2.tree(guest, version), parts[1:])))
    except KeyError:
        return None


def _text(body: bytes) -> MetadataReply:
    return MetadataReply(200, body=body)


def _missing(request: MetadataRequest) -> MetadataReply:
    return MetadataReply(404, body=f"There is no metadata here for {request.source}.\n".encode())
