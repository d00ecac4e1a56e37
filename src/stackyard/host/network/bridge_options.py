"""An option of bridges that pyroute2 does not know: not to learn from frames to link-local group addresses.

The kernel takes such a frame's source into the bridge's table before any filter of the bridge sees the frame, so that
with it a port could claim another's MAC, or fill the table.
"""

from __future__ import annotations

import os
import socket
import struct

_RTM_NEWLINK = 16
_REQUEST_ACKNOWLEDGED = 0x5
_IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_BR_MULTI_BOOLOPT = 18, 1, 2, 46
_NESTED = 0x8000
_NO_LINK_LOCAL_LEARNING = 1
_NLMSG_ERROR = 2


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("HH", len(value) + 4, kind) + value + padding


def stop_link_local_learning(index: int) -> None:
    """Set the option on the bridge with this index, in the namespace that the thread is in. Raises OSError."""
    option = _attribute(_IFLA_BR_MULTI_BOOLOPT, struct.pack("II", _NO_LINK_LOCAL_LEARNING, _NO_LINK_LOCAL_LEARNING))
    info = _attribute(_IFLA_INFO_KIND, b"bridge\0") + _attribute(_IFLA_INFO_DATA | _NESTED, option)
    body = struct.pack("BxHiII", 0, 0, index, 0, 0) + _attribute(_IFLA_LINKINFO | _NESTED, info)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.bind((0, 0))
        channel.send(struct.pack("IHHII", 16 + len(body), _RTM_NEWLINK, _REQUEST_ACKNOWLEDGED, 1, 0) + body)
        answer = channel.recv(4096)
    _, kind, _, _, _, code = struct.unpack_from("IHHIIi", answer)
    if kind == _NLMSG_ERROR and code:
        raise OSError(-code, os.strerror(-code))
