"""What happens behind the cloud's back is found: by events, by comparison, at start, and while the engine is away."""

from __future__ import annotations

import pytest
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

from stackyard.host.specs import EngineEvent
from stackyard.services.containers.containers import tables
from stackyard.services.containers.reconcile import mark_all, watch
from stackyard.services.containers.reconcile.watch import WATCHER


def test_events_of_our_own_doing_start_nothing(still_cloud: TestCloud) -> None:
    zun = Zun(still_cloud)
    uuid = zun.http.post(PATH, json={"image": "nginx"}).json()["uuid"]
    watcher = still_cloud.runtime[WATCHER]
    rows = {"status": "Running", "task_state": None, "wanted": "running"}
    still_cloud.database.write("set", lambda tx: tx.execute(tables.containers.update().values(**rows)))
    still_cloud.database.write("clear", lambda tx: tx.execute(watch.reconcile.work.delete()))
    watcher.handle(EngineEvent(container_id=uuid, action="start"))
    watcher.handle(EngineEvent(container_id="another-cloud's", action="die"))
    assert still_cloud.depth() == {}
    watcher.handle(EngineEvent(container_id=uuid, action="die"))
    assert still_cloud.depth() == {"container": 1}


def test_comparison_finds_what_events_did_not_tell(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    monkeypatch.setattr(watch.Watcher, "handle", lambda self, event: None)
    cloud.engine.finish(uuid, 0)
    assert zun.show(uuid)["status"] == "Running"
    cloud.runtime[WATCHER].sync()
    assert zun.until(uuid, "Stopped")["status_detail"].startswith("Exited(0)")


def test_states_are_unknown_while_the_engine_is_away(cloud: TestCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    zun = Zun(cloud)
    uuid = zun.create()["uuid"]
    monkeypatch.setattr(watch, "UNKNOWN_AFTER", 0.0)
    cloud.engine.available = False
    cloud.runtime[WATCHER].sync()
    found = zun.show(uuid)
    assert found["status"] == "Unknown"
    assert "does not answer" in found["status_reason"]
    zun.refused("GET", f"{PATH}/{uuid}/logs", 503)
    cloud.engine.available = True
    cloud.runtime[WATCHER].sync()
    assert zun.until(uuid, "Running")["status_reason"] is None


def test_a_host_that_was_restarted_gets_its_containers_back(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    runs, rests = zun.create(name="runs")["uuid"], zun.create(name="rests")["uuid"]
    zun.act("rests", "stop", timeout=0)
    for uuid in (runs, rests):
        cloud.engine.remove_sandbox(uuid)
    # As after a restart: what ran has ended, namespaces are gone, the boot is another.
    cloud.database.write("reboot", lambda tx: tx.execute(tables.containers.update().values(boot_id="an earlier one")))
    cloud.engine.finish(runs, 137)
    mark_all(cloud.runtime)
    cloud.settle()
    assert zun.until(runs, "Running")["name"] == "runs"
    assert runs in cloud.engine.sandboxes()
    assert zun.show(rests)["status"] == "Stopped"
