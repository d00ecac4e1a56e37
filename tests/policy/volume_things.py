"""What projects have of volumes in the world of personas: one of everything, as a driver would have left it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from starlette.testclient import TestClient

from stackyard.app import Cloud
from stackyard.core.db import Transaction
from stackyard.services.volume import hosts
from stackyard.services.volume.tables import backups, groups, snapshots, volumes

V3 = "/volume/v3"
NEWEST = {"OpenStack-API-Version": "volume 3.71"}


class Volumes:
    """Makes them; nothing is carried out in this cloud, so that rows are told what would have come of it."""

    def __init__(self, cloud: Cloud, admin: TestClient, client: TestClient, things: dict[str, str]) -> None:
        self._database = cloud.runtime.database
        self._admin = admin
        self._client = client
        self._things = things
        hosts.report(cloud.runtime)

    def make(self, place: str) -> None:
        """For the project that the client is of."""
        things, admin = self._things, self._admin
        kind = self._post("types", {"volume_type": {"name": place}}, admin)
        secret = {"encryption": {"provider": "luks", "control_location": "front-end"}}
        sealed = self._post("types", {"volume_type": {"name": f"sealed-{place}"}}, admin)["volume_type"]["id"]
        encryption = self._post(f"types/{sealed}/encryption", secret, admin)["encryption"]
        private = {
            "name": f"private-{place}",
            "os-volume-type-access:is_public": False,
            "extra_specs": {"colour": "blue"},
        }
        hidden = self._post("types", {"volume_type": private}, admin)["volume_type"]["id"]
        self._post(f"types/{hidden}/action", {"addProjectAccess": {"project": things["project_id"]}}, admin)
        promise = self._post("qos-specs", {"qos_specs": {"name": place, "x": "1"}}, admin)["qos_specs"]["id"]
        of_groups = self._post("group_types", {"group_type": {"name": place, "group_specs": {"colour": "blue"}}}, admin)
        things |= {
            "type_id": hidden,
            "sealed_type_id": sealed,
            "encryption_id": encryption.get("encryption_id", "provider"),
            "qos_id": promise,
            "group_type_id": of_groups["group_type"]["id"],
            "volume_type_id": kind["volume_type"]["id"],
        }
        self._of_project(place)

    def _of_project(self, place: str) -> None:
        things = self._things
        volume = self._volume("v")
        given, shared = self._volume("given"), self._volume("shared")
        snapshot = self._post(
            "snapshots", {"snapshot": {"volume_id": volume, "name": "s", "metadata": {"colour": "blue"}}}
        )
        things |= {"volume_id": volume, "given_volume_id": given, "snapshot_id": snapshot["snapshot"]["id"]}
        self._is(snapshots, things["snapshot_id"], status="available", task=None)
        attached = {"volume_uuid": shared, "instance_uuid": things["server_id"]}
        things["attachment_id"] = self._post("attachments", {"attachment": attached})["attachment"]["id"]
        offer = self._post("volume-transfers", {"transfer": {"volume_id": given}})["transfer"]
        things |= {"transfer_id": offer["id"], "auth_key": offer["auth_key"]}
        backup = self._post("backups", {"backup": {"volume_id": volume, "name": "b"}})["backup"]["id"]
        self._is(backups, backup, status="available", task=None)
        self._is(volumes, volume, status="available", task=None)
        group = {"group_type": things["group_type_id"], "volume_types": [things["volume_type_id"]], "name": place}
        made = self._post("groups", {"group": group})["group"]["id"]
        self._is(groups, made, status="available", host="testhost", backend="file")
        member = {"volume": {"size": 1, "group_id": made, "volume_type": things["volume_type_id"]}}
        self._is(volumes, self._post("volumes", member)["volume"]["id"], status="available", task=None)
        things |= {"backup_id": backup, "volume_group_id": made}
        then = self._post("group_snapshots", {"group_snapshot": {"group_id": made}})["group_snapshot"]["id"]
        things |= {"group_snapshot_id": then, "message_id": self._message()}

    def _volume(self, name: str) -> str:
        body = {"volume": {"size": 1, "name": name, "metadata": {"colour": "blue"}}}
        made = str(self._post("volumes", body)["volume"]["id"])
        self._is(volumes, made, status="available", task=None)
        return made

    def _message(self) -> str:
        """What a create that found no back end left."""
        body = {"volume": {"size": 1, "volume_type": self._nowhere()}}
        self._post("volumes", body)
        found = self._client.get(f"{V3}/messages", headers=NEWEST).json()["messages"]
        return str(found[0]["id"])

    def _nowhere(self) -> str:
        name = f"nowhere-{self._things['project_id'][:8]}"
        specs = {"volume_backend_name": "nothing"}
        return str(
            self._post("types", {"volume_type": {"name": name, "extra_specs": specs}}, self._admin)["volume_type"]["id"]
        )

    def _post(self, path: str, body: dict[str, Any], client: TestClient | None = None) -> dict[str, Any]:
        answer = (client or self._client).post(f"{V3}/{path}", json=body, headers=NEWEST)
        assert answer.status_code in (200, 202), f"{path}: {answer.text}"
        return dict(answer.json()) if answer.content else {}

    def _is(self, table: sa.Table, key: str, **values: Any) -> None:
        def change(tx: Transaction) -> None:
            tx.execute(sa.update(table).where(table.c.id == key).values(**values))

        self._database.write("as it would be", change)
