"""The reconciler of containers: reads the wish, looks at the engine, plans, does the steps, writes what came of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.engine import Row

from stackyard.core import reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, GiveUp, Outcome
from stackyard.core.runtime import Runtime
from stackyard.host.errors import EngineUnavailableError, NotFoundError, SpecError
from stackyard.host.specs import ContainerObservation
from stackyard.services.containers import action_log, files, quotas, registries, vault
from stackyard.services.containers.containers import mounts, ports, tables
from stackyard.services.containers.containers.actions import DEFAULT_STOP_TIMEOUT
from stackyard.services.containers.containers.create import KIND
from stackyard.services.containers.containers.states import Status, Wanted
from stackyard.services.containers.reconcile.busy import BUSY
from stackyard.services.containers.reconcile.fetch import Fetcher, Registry, Source
from stackyard.services.containers.reconcile.plan import Step, Wish, plan
from stackyard.services.containers.reconcile.settle import facts, settle
from stackyard.services.containers.reconcile.spec import container_spec
from stackyard.services.keys import ENGINE, HOST_NAME, STATE_DIR
from stackyard.services.network import api as network_api

ENGINE_AWAY_PAUSE = 2.0
VOLUME_PAUSE = 0.2
_LOST = (
    "The engine has no such container any more: something outside this cloud removed it. "
    "Start or rebuild it to make it anew, or delete it."
)


def boot_id() -> str:
    """Which start of the host this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Job(msgspec.Struct, kw_only=True):
    """A container's row, and what else its making needs, as read in one transaction."""

    row: Any
    registry: Registry | None = None
    files: list[bytes] = []
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    image: str = ""
    volumes: dict[str, Path] = {}


class ContainerReconciler:
    """Brings containers from what is to what is wanted."""

    deadline = 300.0

    def __init__(self, runtime: Runtime) -> None:
        self.kind = reconcile.kind_on(KIND, runtime[HOST_NAME])
        self._runtime = runtime
        self._database = runtime.database
        self._engine = runtime[ENGINE]
        self._fetcher = Fetcher(runtime)
        self._wirers = ThreadPoolExecutor(8, thread_name_prefix="wire")
        self._boot = boot_id()
        self._versions: dict[str, int] = {}
        self._steps: dict[Step, Callable[[Job], None]] = {
            Step.REMOVE: lambda job: self._engine.remove(job.row.uuid, force=True),
            Step.FETCH_IMAGE: self._fetch,
            Step.CREATE: self._create,
            Step.WIRE: lambda job: self._wire(job.row, self._engine.ensure_sandbox(job.row.uuid)),
            Step.LIMIT: self._limit,
            Step.START: lambda job: self._engine.start(job.row.uuid),
            Step.STOP: self._stop,
            Step.PAUSE: lambda job: self._engine.pause(job.row.uuid),
            Step.UNPAUSE: lambda job: self._engine.unpause(job.row.uuid),
            Step.TAKE_DOWN: self._take_down,
            Step.FORGET: lambda job: self._database.write("containers.forget", self._forget, job.row.uuid),
            Step.LOST: lambda job: self._database.write("containers.lost", _lost, job.row),
        }

    def reconcile(self, resource_id: str) -> Outcome:
        """Look, plan, act, write. An engine that is away is waited for, for as long as it takes."""
        with self._runtime[BUSY].working_on(resource_id):
            try:
                outcome = self._reconcile(resource_id)
            except EngineUnavailableError:
                return Again(ENGINE_AWAY_PAUSE)
            except SpecError as error:
                raise GiveUp(str(error)) from error
        if outcome == DONE and self._runtime[BUSY].take_missed(resource_id):
            return Again(0.0)
        return outcome

    def _reconcile(self, uuid: str) -> Outcome:
        job = self._database.read("containers.load", self._load, uuid)
        if job is None:
            return DONE
        wish = self._wish(job.row)
        self._versions[uuid] = job.row.version
        if wish.wanted is Wanted.FAILED:
            return DONE
        seen = self._engine.inspect(uuid)
        steps = plan(wish, seen)
        if not self._have_volumes(steps, job):
            return Again(VOLUME_PAUSE)
        self._take(steps, job)
        if steps and steps[-1] in (Step.FORGET, Step.LOST):
            self._versions.pop(uuid, None)
            return DONE
        if steps:
            seen = self._engine.inspect(uuid)
        if seen is None:
            return Again(0.0)
        return self._settle(job.row, wish, steps, seen)

    def _wish(self, row: Any) -> Wish:
        return Wish(
            wanted=Wanted(row.wanted),
            run=row.run,
            run_done=row.run_done,
            build=row.build,
            build_done=row.build_done,
            stop_first=row.stop_first,
            stop_timeout=row.stop_timeout,
            limits_changed=row.limits_changed,
            wiring_changed=row.wiring_changed,
            auto_heal=row.auto_heal,
            auto_remove=row.auto_remove,
            same_boot=row.boot_id in (None, self._boot),
        )

    def _load(self, tx: Transaction, uuid: str) -> Job | None:
        row = tables.by_uuid(tx, uuid)
        if row is None:
            return None
        job = Job(row=row)
        if row.wanted not in (Wanted.DELETED, Wanted.FAILED) and (row.build_done < row.build or row.auto_heal):
            networks = list(dict.fromkeys(interface["network"] for interface in row.interfaces))
            job.dns_servers = tuple(network_api.dns_servers(tx, networks))
            domains = (network_api.dns_domain(tx, self._runtime, network) for network in networks)
            job.dns_search = tuple(dict.fromkeys(domains))
            job.files = files.read(tx, uuid) if row.spec["mounts"] else []
            job.registry = self._registry(tx, row.registry_id)
        return job

    def _registry(self, tx: Transaction, registry_id: str | None) -> Registry | None:
        found = registries.by_uuid(tx, registry_id) if registry_id is not None else None
        if found is None:
            return None
        return Registry(found.domain, found.username, vault.reveal(self._runtime, found.password))

    def _have_volumes(self, steps: list[Step], job: Job) -> bool:
        """Have the container's volumes mounted before it is made or started, and given back before it is forgotten."""
        if not mounts.of(job.row):
            return True
        if Step.FORGET in steps:
            self._take(steps[:-1], job)
            steps[:] = [Step.FORGET]
            return self._database.write("containers.volumes", mounts.give_back, self._runtime, job.row)
        if Step.CREATE in steps or Step.START in steps:
            found = mounts.mount(self._runtime, job.row)
            job.volumes = found or {}
            return found is not None
        return True

    # -- steps

    def _take(self, steps: list[Step], job: Job) -> None:
        """Do the steps in order; creating and wiring, which do not need each other, at the same time."""
        at = 0
        while at < len(steps):
            if steps[at : at + 2] == [Step.CREATE, Step.WIRE]:
                netns = self._engine.ensure_sandbox(job.row.uuid)
                wiring = self._wirers.submit(self._wire, job.row, netns)
                try:
                    self._create(job)
                finally:
                    # Also when the create has failed: nothing may work on a container that is given up.
                    wiring.exception()
                wiring.result()
                at += 2
                continue
            self._steps[steps[at]](job)
            at += 1

    def _fetch(self, job: Job) -> None:
        row = job.row
        source = Source(
            name=row.image,
            image_id=row.image_id,
            pull_policy=row.spec["image_pull_policy"],
            registry=job.registry,
        )
        job.image = self._fetcher.fetch(source)

    def _create(self, job: Job) -> None:
        placed = iter(files.place(self._runtime[STATE_DIR], job.row.uuid, job.files) if job.files else [])
        sources = [
            job.volumes[mount["volume_id"]] if mount["type"] == "volume" else next(placed)
            for mount in job.row.spec["mounts"]
        ]
        spec = container_spec(
            job.row, job.image, sources=sources, dns_servers=job.dns_servers, dns_search=job.dns_search
        )
        try:
            self._engine.create(spec)
        except NotFoundError:
            self._fetcher.forget(job.image)
            raise

    def _wire(self, row: Any, netns: str) -> None:
        if not row.interfaces:
            return
        self._database.write("containers.bind ports", _bind, row, netns, self._runtime[HOST_NAME])
        network_api.wire_now(self._runtime, [interface["port"] for interface in row.interfaces])

    def _limit(self, job: Job) -> None:
        self._engine.update(job.row.uuid, memory=job.row.memory, cpus=job.row.cpu or None)

    def _stop(self, job: Job) -> None:
        timeout = job.row.stop_timeout
        self._engine.stop(job.row.uuid, DEFAULT_STOP_TIMEOUT if timeout is None else timeout)

    def _take_down(self, job: Job) -> None:
        self._engine.remove(job.row.uuid, force=True)
        self._engine.remove_sandbox(job.row.uuid)
        if job.row.spec["mounts"]:
            files.remove(self._runtime[STATE_DIR], job.row.uuid)
            mounts.unmount(self._runtime, job.row)

    def _forget(self, tx: Transaction, uuid: str) -> None:
        """Everything that the container took of the cloud goes back, with its row."""
        row = tables.by_uuid(tx, uuid)
        if row is None:
            return
        ports.give_back(tx, self._runtime, row.interfaces)
        ports.drop_group(tx, self._runtime, row.own_group_id)
        quotas.release(tx, self._runtime, row)
        files.drop(tx, uuid)
        action_log.forget(tx, uuid)
        tx.execute(tables.DELETE, {"uuid": uuid})
        timeline.record(tx, self.kind, uuid, "deleted")

    # -- outcomes

    def _settle(self, row: Any, wish: Wish, steps: list[Step], seen: ContainerObservation) -> Outcome:
        found = settle(wish, seen)
        same = found.status == row.status and found.wanted == row.wanted
        observed = facts(seen)
        if not (steps or row.task_state) and same and observed == row.observed and wish.run == wish.run_done:
            return DONE if found.again_in is None else Again(found.again_in)
        values = {
            "wanted": found.wanted,
            "status": found.status,
            "status_reason": row.status_reason if same and not steps else found.reason,
            "task_state": None,
            "observed": observed,
            "run_done": row.run,
            "build_done": row.build,
            "stop_first": False,
            "limits_changed": False,
            "wiring_changed": False,
            "boot_id": self._boot if seen.state in ("running", "paused", "restarting") else row.boot_id,
        }
        self._database.write("containers.settle", _write, row, values, steps)
        return DONE if found.again_in is None else Again(found.again_in)

    def expire(self, resource_id: str, reason: str) -> None:
        """Trying is over: Error, with the reason; what it has taken stays with it until it is deleted."""
        version = self._versions.pop(resource_id, None)

        def fail(tx: Transaction) -> None:
            row = tables.by_uuid(tx, resource_id)
            if row is None or (version is not None and row.version != version):
                return
            wanted = Wanted.DELETED if row.wanted == Wanted.DELETED else Wanted.FAILED
            tables.update(tx, row, wanted=wanted, status=Status.ERROR, status_reason=reason, task_state=None)
            action_log.finish(tx, resource_id, reason)

        self._database.write("containers.expire", fail)

    def close(self) -> None:
        """End the threads."""
        self._wirers.shutdown(wait=False, cancel_futures=True)


def _bind(tx: Transaction, row: Row[Any], netns: str, host: str) -> None:
    for interface in row.interfaces:
        network_api.bind_port(tx, interface["port"], netns=netns, device=interface["device"], host=host)


def _lost(tx: Transaction, row: Any) -> None:
    values = {"wanted": Wanted.FAILED, "status": Status.ERROR, "status_reason": _LOST, "task_state": None}
    if tables.write_outcome(tx, row, **values, build_done=0):
        action_log.finish(tx, row.uuid, _LOST)
        timeline.record(tx, KIND, row.uuid, "lost", _LOST)


def _write(tx: Transaction, row: Any, values: dict[str, Any], steps: list[Step]) -> None:
    if not tables.write_outcome(tx, row, **values):
        return
    action_log.finish(tx, row.uuid)
    detail = ", ".join(steps)
    if values["status"] != row.status or steps:
        event = str(values["status"]).lower()
        timeline.record(tx, KIND, row.uuid, event, values["status_reason"] or detail)
    if values["wanted"] == Wanted.DELETED:
        reconcile.mark(tx, reconcile.kind_on(KIND, row.host), row.uuid)
