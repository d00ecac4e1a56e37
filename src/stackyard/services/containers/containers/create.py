"""Creating a container: what it takes of the cloud is taken here, in one transaction; the host's part follows.

Names of networks, ports, groups, images and registries are resolved now, so that what does not exist is refused at
once and nothing is left behind.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stackyard.core import reconcile, timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.ids import new_uuid
from stackyard.core.microversion import Microversion
from stackyard.services.containers import action_log, files, images, quotas, registries
from stackyard.services.containers.containers import mounts, ports, tables
from stackyard.services.containers.containers.draft import Draft, draft
from stackyard.services.containers.containers.finding import project_of
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.containers.values import flag
from stackyard.services.containers.containers.views import ContainerView
from stackyard.services.containers.hosts import ZONE, require_enabled
from stackyard.services.keys import HOST_NAME

KIND = "container"
_TAKEN_OVER = tuple(
    "name image image_driver cpu memory disk hostname interactive tty auto_remove auto_heal spec".split()  # noqa: SIM905
)


def create(tx: Transaction, call: Call) -> Reply:
    """POST /v1/containers: `?run=true` also starts it."""
    if unknown := set(call.query.keys()) - {"run"}:
        raise BadRequest(f"Unknown parameters: {', '.join(sorted(unknown))}", kind="InvalidValue")
    run = flag("run", call.query.get("run"))
    project = project_of(call)
    asked = draft(call.body, call.microversion or Microversion(1, 1))
    _authorise(call, asked)
    host = _host(tx, call, asked)
    registry = registries.find(tx, call, asked.registry) if asked.registry else None
    uuid = new_uuid()
    row = {
        **{name: getattr(asked, name) for name in _TAKEN_OVER},
        "uuid": uuid,
        "project_id": project,
        "user_id": call.caller.user_id,
        "image_id": images.resolve(tx, call, asked.image, asked.image_driver),
        "host": host,
        "registry_id": registry.uuid if registry is not None else None,
        **_take(tx, call, uuid, asked),
        "spec": asked.spec | {"mounts": mounts.take(tx, call, uuid, asked.spec["mounts"], host)},
        **_beginning(run),
        "created_at": tx.now,
        "updated_at": None,
    }
    tx.execute(tables.INSERT, row)
    files.keep(tx, uuid, asked.files)
    action_log.begin(tx, call, uuid, "create")
    timeline.record(tx, KIND, uuid, "create asked", f"image {asked.image}" + (", to run" if run else ""))
    reconcile.mark(tx, reconcile.kind_on(KIND, host), uuid)
    view = ContainerView(call)(SimpleNamespace(**row))
    return Reply(view, status=202, headers={"Location": view["links"][0]["href"]})


def _take(tx: Transaction, call: Call, uuid: str, asked: Draft) -> dict[str, Any]:
    """Quota, security group and ports."""
    taken = quotas.amounts(containers=1, cpu=asked.cpu, memory=asked.memory, disk=asked.disk)
    quotas.reserve(tx, call.runtime, project_of(call), taken)
    networks = ports.resolve(tx, call, asked.nets)
    groups = ports.groups_of(tx, call, asked.security_groups)
    own_group = ports.expose(tx, call, uuid, asked.exposed_ports) if asked.exposed_ports is not None else None
    groups += [own_group] if own_group else []
    interfaces, addresses = ports.take(tx, call, ports.Owner(uuid, asked.name, asked.hostname), networks, groups)
    return {
        "interfaces": interfaces,
        "addresses": addresses,
        "security_groups": groups,
        "own_group_id": own_group,
    }


def _authorise(call: Call, asked: Draft) -> None:
    if asked.spec["runtime"] is not None:
        call.require("container:create:runtime")
        raise InvalidField("runtime", "choosing the OCI runtime is not offered by this cloud; leave it out.")
    if asked.spec["privileged"]:
        call.require("container:create:privileged")
    if asked.spec["image_pull_policy"] is not None:
        call.require("container:create:image_pull_policy")
    if asked.host is not None:
        call.require("container:create:requested_destination")


def _host(tx: Transaction, call: Call, asked: Draft) -> str:
    host = call.runtime[HOST_NAME]
    if asked.host not in (None, host):
        raise InvalidField("host", f"there is no host {asked.host}; this cloud has {host}.", kind="InvalidValue")
    if asked.availability_zone not in (None, ZONE):
        raise InvalidField(
            "availability_zone",
            f"there is no zone {asked.availability_zone}; this cloud has {ZONE}.",
            kind="InvalidValue",
        )
    require_enabled(tx, host)
    return host


def _beginning(run: bool) -> dict[str, Any]:
    return {
        "wanted": Wanted.RUNNING if run else Wanted.CREATED,
        "version": 1,
        "run": 1 if run else 0,
        "run_done": 0,
        "build": 1,
        "build_done": 0,
        "stop_first": False,
        "stop_timeout": None,
        "limits_changed": False,
        "wiring_changed": False,
        "status": Status.CREATING,
        "status_reason": None,
        "task_state": "container_creating",
        "observed": {},
        "boot_id": None,
    }
