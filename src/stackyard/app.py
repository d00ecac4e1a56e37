"""Where everything meets: services mounted, rules compiled, drivers given, reconcilers started.

`Cloud` is one cloud in one process. The command line gives it real drivers and a server; tests give it twins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stackyard import __version__
from stackyard.core import facts
from stackyard.core.config import Settings
from stackyard.core.db import Database, Transaction
from stackyard.core.dispatch import Dispatcher, Receive, Scope, Send
from stackyard.core.metrics import CONTENT_TYPE, Metrics
from stackyard.core.policy_file import PolicyFile
from stackyard.core.quota import Quotas
from stackyard.core.reconcile import ReconcileEngine, depth
from stackyard.core.routes import Service
from stackyard.core.runtime import Runtime
from stackyard.core.websockets import WebSockets
from stackyard.host.containers import ContainerEngine
from stackyard.host.disks import Volumes
from stackyard.host.errors import HostError
from stackyard.host.machines import Machines
from stackyard.host.network import NetworkDriver
from stackyard.host.specs import HostCapacity
from stackyard.services import compute, containers, identity, image, keys, network, placement, volume
from stackyard.services.compute import periodic as compute_periodic
from stackyard.services.compute import reconcile as compute_reconcile
from stackyard.services.compute import startup as compute_startup
from stackyard.services.compute.bootstrap import bootstrap as bootstrap_compute
from stackyard.services.containers import reconcile as containers_reconcile
from stackyard.services.identity import api as identity_api
from stackyard.services.image import api as image_api
from stackyard.services.image import reconcile as image_reconcile
from stackyard.services.network import api as network_api
from stackyard.services.network import reconcile as network_reconcile
from stackyard.services.volume import bootstrap as bootstrap_volume
from stackyard.services.volume import reconcile as volume_reconcile

log = logging.getLogger("stackyard.app")

SERVICES: tuple[Service, ...] = (
    identity.SERVICE,
    image.SERVICE,
    placement.SERVICE,
    compute.SERVICE,
    network.SERVICE,
    volume.SERVICE,
    containers.SERVICE,
)

COMPUTE_QUOTAS = (
    "instances",
    "cores",
    "ram",
    "metadata_items",
    "injected_files",
    "injected_file_content_bytes",
    "injected_file_path_bytes",
    "key_pairs",
    "server_groups",
    "server_group_members",
)
"""What compute limits, by Nova's names; the middle ones are no counts but limits of single requests."""

VOLUME_QUOTAS = (
    "volumes",
    "snapshots",
    "gigabytes",
    "per_volume_gigabytes",
    "backups",
    "backup_gigabytes",
    "groups",
)
"""What the volume service limits, by Cinder's names; per_volume_gigabytes is a limit of single requests."""

POLICY_SECONDS = 5.0
"""How often policy.yaml is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine gives the cloud."""

    name: str
    state_dir: Path
    engine: ContainerEngine
    network: NetworkDriver
    machines: Machines
    volumes: Volumes
    capacity: Callable[[], HostCapacity]


def quota_defaults(settings: Settings) -> dict[str, int]:
    """Every counted resource and its default limit."""
    quota = settings.quota
    names = (
        "network",
        "subnet",
        "subnetpool",
        "trunk",
        "port",
        "router",
        "floatingip",
        "security_group",
        "security_group_rule",
        "rbac_policy",
    )
    found = {f"network.{name}": int(getattr(quota, name)) for name in names}
    found |= {f"container.{name}": int(getattr(quota, name)) for name in ("containers", "cpu", "memory", "disk")}
    found["image.images"] = quota.images
    found |= {f"compute.{name}": int(getattr(quota, name)) for name in COMPUTE_QUOTAS}
    found |= {f"volume.{name}": int(getattr(quota, name)) for name in VOLUME_QUOTAS}
    if quota.cpu > 0:
        found["container.cpu"] = quota.cpu * 1000  # containers take fractions of a CPU: counted in thousandths
    return found


class Cloud:
    """Every service on one database and one host. `start` begins the background work; calling it serves (ASGI)."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        host: Host,
    ) -> None:
        rules = [rule for service in SERVICES for rule in service.policies]
        rules += image_api.check_files(settings)
        scoped = settings.policy.enforce_scope
        self._policy_file = PolicyFile(host.state_dir / "policy.yaml", rules, enforce_scope=scoped)
        self.runtime = Runtime(
            settings=settings,
            database=database,
            policies=self._policy_file.read(),
            quotas=Quotas(quota_defaults(settings)),
            authenticate=identity_api.authenticate,
        )
        self.runtime.provide(keys.ENGINE, host.engine)
        self.runtime.provide(keys.NETWORK_DRIVER, host.network)
        self.runtime.provide(keys.MACHINES, host.machines)
        self.runtime.provide(keys.VOLUMES, host.volumes)
        self.runtime.provide(keys.CAPACITY, host.capacity)
        self.runtime.provide(keys.METADATA, network_api.PortMetadata(self.runtime))
        compute_startup.set_up(self.runtime)
        host.network.answer_metadata(self.runtime[keys.METADATA])
        self.runtime.provide(keys.STATE_DIR, host.state_dir)
        self.runtime.provide(keys.HOST_NAME, host.name)
        network_api.use_name(database, host.name)
        identity_api.use_cache_size(database, settings.token.cache)
        identity_api.use_secret_file(database, host.state_dir, settings.credential.key_file)
        self.metrics = Metrics()
        self.dispatcher = Dispatcher(self.runtime, SERVICES)
        self.websockets = WebSockets(self.runtime, [(compute.SERVICE, compute.WEBSOCKETS)])
        self.dispatcher.observe = self.metrics.request
        database.observe = self.metrics.transaction
        self.metrics.queue_depth = lambda: database.read("queue depth", depth)
        self.metrics.meters = lambda: _meters(host.network)
        self.reconcile = ReconcileEngine(
            database,
            [
                identity_api.DirectoryReconciler(self.runtime),
                *image_reconcile.reconcilers(self.runtime),
                *network_reconcile.reconcilers(self.runtime),
                *containers_reconcile.reconcilers(self.runtime),
                *volume_reconcile.reconcilers(self.runtime),
                *compute_reconcile.reconcilers(self.runtime),
            ],
            workers=settings.reconcile.workers,
        )
        self._own = {"/": self._index, "/healthz": self._health, "/metrics": self._metrics}
        self.reconcile.observe = self.metrics.run
        self.reconcile.every("policy", POLICY_SECONDS, self.reread_policy)
        for name, seconds, action in (
            *network_reconcile.periodic(self.runtime),
            *containers_reconcile.periodic(self.runtime),
            *volume_reconcile.periodic(self.runtime),
            *compute_reconcile.periodic(self.runtime),
            *compute_periodic.periodic(self.runtime),
        ):
            self.reconcile.every(name, seconds, action)

    def seed(self, passwords: Mapping[str, str]) -> None:
        """Make what a new cloud has: domain, projects, users, roles, catalogue, networks; again changes nothing."""

        def bootstrap(tx: Transaction) -> None:
            facts.put(tx, "seeded", tx.now.isoformat())
            identity_api.bootstrap(tx, SERVICES, passwords, region=self.runtime.settings.server.region)
            network_api.bootstrap(tx, self.runtime)
            bootstrap_volume.bootstrap(tx)
            bootstrap_compute(tx, self.runtime)

        self.runtime.database.write("seed", bootstrap)

    def reread_policy(self) -> None:
        """Take on what an operator has changed in policy.yaml."""
        changed = self._policy_file.changes()
        if changed is not None:
            self.runtime.policies = changed

    def is_seeded(self) -> bool:
        """Whether `seed` has ever been done."""
        return self.runtime.database.read("is seeded", facts.get, "seeded") is not None

    def prepare(self) -> None:
        """Write what a cloud of any age must have before it serves: keys of tokens, definitions of metadata."""
        self.runtime.database.write("create token keys", identity_api.create_keys)
        self.runtime.database.write("load metadefs", image_api.load_metadefs)

    def start(self) -> None:
        """Begin reconciling; all that should exist here is looked at once, which adopts what an earlier run left."""
        self.prepare()
        identity_api.mark_directories(self.runtime)
        image_reconcile.sweep(self.runtime)
        network_reconcile.mark_all(self.runtime)
        containers_reconcile.mark_all(self.runtime)
        volume_reconcile.adopt(self.runtime)
        compute_reconcile.adopt(self.runtime)
        compute_startup.start(self.runtime)
        self.reconcile.start()
        containers_reconcile.start_watchers(self.runtime)
        compute_reconcile.start_watchers(self.runtime)

    def stop(self) -> None:
        """End the background work; workloads stay."""
        containers_reconcile.stop_watchers(self.runtime)
        compute_reconcile.stop_watchers(self.runtime)
        self.reconcile.stop()
        self.runtime[keys.ENGINE].close()
        self.runtime.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve: the cloud's own few addresses, and every service's."""
        if scope["type"] == "websocket":
            await self.websockets(scope, receive, send)
            return
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        own = self._own.get(scope["path"])
        if own is None or "stackyard.service" in scope:
            await self.dispatcher(scope, receive, send)
            return
        status, media_type, body = await own()
        headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _index(self) -> tuple[int, str, bytes]:
        body = {
            "name": "Stackyard",
            "version": __version__,
            "services": [{"type": s.type, "name": s.name, "path": s.mount + s.catalog_path} for s in SERVICES],
        }
        return 200, "application/json", msgspec.json.encode(body)

    async def _health(self) -> tuple[int, str, bytes]:
        loop = asyncio.get_running_loop()
        try:
            waiting = await loop.run_in_executor(
                self.runtime.threads, lambda: self.runtime.database.read("healthz", depth)
            )
        except Exception as error:
            log.exception("the database does not answer")
            body = {"status": "error", "reason": f"the database does not answer: {type(error).__name__}"}
            return 503, "application/json", msgspec.json.encode(body)
        return 200, "application/json", msgspec.json.encode({"status": "ok", "version": __version__, "work": waiting})

    async def _metrics(self) -> tuple[int, str, bytes]:
        loop = asyncio.get_running_loop()
        return 200, CONTENT_TYPE, await loop.run_in_executor(self.runtime.threads, self.metrics.render)


def _meters(driver: NetworkDriver) -> dict[str, tuple[int, int]]:
    """What routers have counted; nothing, rather than no metrics at all, while the driver cannot say."""
    try:
        return driver.read_meters()
    except HostError as error:
        log.warning("the meters cannot be read", extra={"error": str(error)})
        return {}


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
