"""What a port may use of the network: shapers on the fabric end of its wire.

What goes to the port is shaped where it leaves the bridge: a token bucket on the device itself. What comes from the
port is first led to a device of its own (ifb) with the same kind of bucket, for a device can only shape what leaves it,
and returns from there to the bridge, and to the port's filter. Packet rates and DSCP marks are the filter's work.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Mapping

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import names
from stackyard.host.network.fabric import Fabric, Link
from stackyard.host.network.names import Alias
from stackyard.host.specs import BandwidthLimit, PortSpec

_ROOT = 0x10000
_INGRESS = 0xFFFF0000
_ALL_PROTOCOLS = 0x0003
_QUEUE_SECONDS = 0.1
_FITTING_SECONDS = 0.02
_FEWEST_FRAMES = 12
_ETHERNET = 18
_LONGEST_SECONDS = 200
_FASTEST = 2**32 - 1
"""Bytes a second, 34 Gbit/s: more than what passes between the ports of a host."""


def limit(spec: PortSpec, direction: str) -> BandwidthLimit | None:
    """The limit in one direction (as the port's owner sees it); what no bucket can hold limits nothing here."""
    found = [item for item in spec.qos.bandwidth if item.direction == direction] if spec.qos else []
    return found[0] if found and found[0].max_kbps * 1000 // 8 <= _FASTEST else None


def bucket(wanted: BandwidthLimit, mtu: int) -> dict[str, int]:
    """The kernel's parameters of a limit: rate and burst in bytes (a second), queue in bytes. Pure.

    A bucket smaller than a frame would pass nothing, and one of a few frames less than its rate; one that takes minutes
    to fill is more than the kernel's clock can count.
    """
    frame = mtu + _ETHERNET
    rate = max(wanted.max_kbps * 1000 // 8, frame // _LONGEST_SECONDS + 1)
    most = rate * _LONGEST_SECONDS
    asked = wanted.max_burst_kbps * 1000 // 8 if wanted.max_burst_kbps else int(rate * _FITTING_SECONDS)
    burst = min(max(asked, _FEWEST_FRAMES * frame), most, 2**31 - 1)
    queue = max(int(rate * _QUEUE_SECONDS), _FEWEST_FRAMES * frame)
    return {"rate": rate, "burst": burst, "limit": min(burst + queue, 2**32 - 1)}


def apply(fabric: Fabric, spec: PortSpec, link: Link, undo: contextlib.ExitStack) -> None:
    """Make the port's limits so, in place where there are some already. Raises HostError, SpecError."""
    inward, outward = limit(spec, "ingress"), limit(spec, "egress")
    if inward is not None:
        _shape(fabric, link.index, inward, spec.mtu)
    elif link.qdisc == "tbf":
        _delete(fabric, link.index, "root")
    name = names.limiter(spec.id)
    if outward is None:
        if fabric.index(name) is not None:
            _delete(fabric, link.index, "ingress")
            fabric.delete_link(name)
        return
    limiter = fabric.link(name) or _make_limiter(fabric, spec, undo)
    _shape(fabric, limiter.index, outward, spec.mtu)
    if not limiter.up or limiter.mtu != spec.mtu:
        fabric.ip.link("set", index=limiter.index, mtu=spec.mtu, state="up")
    if not _leads_to(fabric, link.index, limiter.index):
        _lead(fabric, link.index, limiter.index)


def _make_limiter(fabric: Fabric, spec: PortSpec, undo: contextlib.ExitStack) -> Link:
    name = names.limiter(spec.id)
    try:
        fabric.ip.link("add", ifname=name, kind="ifb", mtu=spec.mtu)
    except Exception as error:
        if getattr(error, "code", None) == errno.EOPNOTSUPP:
            raise SpecError("the kernel of this host cannot limit what ports send: it has no ifb devices") from error
        raise
    undo.callback(fabric.delete_link, name)
    index = fabric.index(name)
    if index is not None:
        alias = Alias(fabric.cloud, "limiter", spec.id)
        fabric.ip.link("set", index=index, ifalias=str(alias), group=names.LINK_GROUP)
    link = fabric.link(name)
    if link is None:
        raise HostError(f"{name} vanished while it was being made")
    return link


def _shape(fabric: Fabric, index: int, wanted: BandwidthLimit, mtu: int) -> None:
    """A token bucket at the root of a device, made or changed without losing what waits in it."""
    try:
        fabric.ip.tc("replace", "tbf", index, handle=_ROOT, **bucket(wanted, mtu))
    except Exception as error:
        if getattr(error, "code", None) == errno.ENOENT:
            raise SpecError("the kernel of this host cannot limit bandwidth: it has no token buckets (tbf)") from error
        raise


def _lead(fabric: Fabric, index: int, limiter: int) -> None:
    """Send all that comes in by a device to another one."""
    _delete(fabric, index, "ingress")
    fabric.ip.tc("add", "ingress", index, handle=_INGRESS)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": limiter}
    fabric.ip.tc(
        "add-filter", "u32", index, parent=_INGRESS, prio=1, protocol=_ALL_PROTOCOLS, target=_ROOT,
        keys=["0x0/0x0+0"], action=action,
    )  # fmt: skip


def _delete(fabric: Fabric, index: int, which: str) -> None:
    """Take a device's shaper or diversion away; gone is fine."""
    try:
        if which == "root":
            fabric.ip.tc("del", index=index, root=True)
        else:
            fabric.ip.tc("del", "ingress", index, handle=_INGRESS)
    except Exception as error:
        if getattr(error, "code", None) not in (errno.ENOENT, errno.EINVAL):
            raise


def _leads_to(fabric: Fabric, index: int, limiter: int) -> bool:
    for message in fabric.ip.get_filters(index=index, parent=_INGRESS):
        if f"'ifindex': {limiter}}}" in str(message.get_attr("TCA_OPTIONS")):
            return True
    return False


Rates = Callable[[], Mapping[int, int]]
"""Gives the rates of all token buckets in the fabric (bytes a second), by the index of their device."""


def rates(fabric: Fabric) -> dict[int, int]:
    """Looks at all of them at once: the kernel cannot be asked for one device's."""
    found = {}
    for message in fabric.ip.get_qdiscs():
        if message.get_attr("TCA_KIND") == "tbf" and message["handle"] == _ROOT:
            parameters = message.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
            found[int(message["index"])] = int(parameters["rate"])
    return found


def problem(fabric: Fabric, spec: PortSpec, link: Link, found: Rates) -> str | None:
    """What is wrong with the limits of a port that this process has applied."""
    inward, outward = limit(spec, "ingress"), limit(spec, "egress")
    if inward is not None and found().get(link.index) != bucket(inward, spec.mtu)["rate"]:
        return "its limit on what comes in was changed"
    if outward is not None:
        limiter = fabric.link(names.limiter(spec.id))
        if (
            limiter is None
            or not limiter.up
            or found().get(limiter.index) != bucket(outward, spec.mtu)["rate"]
            or not _leads_to(fabric, link.index, limiter.index)
        ):
            return "its limit on what it sends was changed"
    return None
