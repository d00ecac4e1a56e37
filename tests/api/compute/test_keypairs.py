"""Key pairs: made here or imported, of SSH or X.509, one's own or, for an administrator, another user's."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.core.config import Settings

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpHq1x8yQ+1Tq7xk2ZJm0uW0V9sQ1E1p5bX6i0m1c2d me@here"
FINGERPRINT_LENGTH = 47


def user_id(cloud: TestCloud, name: str) -> str:
    body = cloud.client("admin").get("/identity/v3/users", params={"name": name}).json()
    return str(body["users"][0]["id"])


def imported(nova: Nova, name: str = "mine", version: str = "2.1", **fields: Any) -> dict[str, Any]:
    body = {"keypair": {"name": name, "public_key": ED25519} | fields}
    status = 200 if version == "2.1" else 201
    keypair: dict[str, Any] = nova.post("/os-keypairs", body, status=status, version=version)["keypair"]
    return keypair


def test_import_see_and_delete(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    own = {"name": "mine", "public_key": ED25519}
    keypair = imported(demo)
    assert keypair == own | {"fingerprint": keypair["fingerprint"], "user_id": user_id(still_cloud, "demo")}
    assert len(keypair["fingerprint"]) == FINGERPRINT_LENGTH
    shown = demo.get("/os-keypairs/mine")["keypair"]
    more = {"id", "created_at", "updated_at", "deleted_at", "deleted"}
    assert set(shown) == set(keypair) | more
    assert (shown["deleted"], shown["deleted_at"], isinstance(shown["id"], int)) == (False, None, True)
    listed = demo.get("/os-keypairs")
    assert listed == {"keypairs": [{"keypair": own | {"fingerprint": keypair["fingerprint"]}}]}
    assert demo.delete("/os-keypairs/mine", status=202) is None
    demo.get("/os-keypairs/mine", status=404)
    demo.delete("/os-keypairs/mine", status=404, version="2.2")


def test_types_are_shown_since_2_2(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    assert imported(demo, version="2.2")["type"] == "ssh"
    assert demo.get("/os-keypairs/mine", version="2.2")["keypair"]["type"] == "ssh"
    assert demo.get("/os-keypairs", version="2.2")["keypairs"][0]["keypair"]["type"] == "ssh"
    demo.delete("/os-keypairs/mine", status=204, version="2.2")


def test_a_pair_is_made(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    made = demo.post("/os-keypairs", {"keypair": {"name": "made"}})["keypair"]
    assert set(made) == {"name", "fingerprint", "public_key", "private_key", "user_id"}
    private = serialization.load_pem_private_key(made["private_key"].encode(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made["public_key"].split()[:2] == public.decode().split()
    assert "private_key" not in demo.get("/os-keypairs/made")["keypair"]


def test_a_certificate_is_made_and_imported(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    body = {"keypair": {"name": "windows", "type": "x509"}}
    made = demo.post("/os-keypairs", body, status=201, version="2.2")["keypair"]
    assert made["type"] == "x509"
    certificate = x509.load_pem_x509_certificate(made["public_key"].encode())
    key, own, _ = pkcs12.load_key_and_certificates(base64.b64decode(made["private_key"]), None)
    assert key is not None
    assert own == certificate
    again = {"keypair": {"name": "again", "type": "x509", "public_key": made["public_key"]}}
    assert demo.post("/os-keypairs", again, status=201, version="2.2")["keypair"]["fingerprint"] == made["fingerprint"]
    demo.post("/os-keypairs", {"keypair": {"name": "x", "type": "x509", "public_key": ED25519}}, status=400,
              version="2.2")  # fmt: skip


def test_users_make_their_own_since_2_92(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    demo.post("/os-keypairs", {"keypair": {"name": "made"}}, status=400, version="2.92")
    assert imported(demo, "me@here.org", version="2.92")["name"] == "me@here.org"
    demo.post("/os-keypairs", {"keypair": {"name": "me@here.org", "public_key": ED25519}}, status=400, version="2.91")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": " "}, {"name": "n" * 256}, {"name": "key_/.\\@:"}, {"name": 1}, {"name": "ünicode"},
        {"public_key": " "}, {"public_key": "ssh-rsa JUNK nova@ubuntu"}, {"public_key": None}, {"public_key": 5},
        {"public_key": "ssh-rsa " + "A" * 2048 + " openstack@ubuntu"}, {"public_key": "x" * 70000},
        {"type": "ssh"}, {"user_id": "me"}, {"unknown": "x"},
    ],
)  # fmt: skip
def test_key_pairs_that_cannot_be(still_cloud: TestCloud, wrong: dict[str, Any]) -> None:
    demo = Nova(still_cloud, "demo")
    demo.post("/os-keypairs", {"keypair": {"name": "mine", "public_key": ED25519} | wrong}, status=400)
    assert demo.get("/os-keypairs") == {"keypairs": []}


def test_types_that_are_none(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    for kind in ("fax", None, 5):
        body = {"keypair": {"name": "mine", "public_key": ED25519, "type": kind}}
        demo.post("/os-keypairs", body, status=400, version="2.2")
    demo.post("/os-keypairs", {}, status=400)
    demo.post("/os-keypairs", {"keypair": {}}, status=400)


def test_a_name_may_be_as_long_as_it_may(cloud: TestCloud) -> None:
    """On every database."""
    demo = Nova(cloud, "demo")
    name = "n" * 255
    assert imported(demo, name)["name"] == name
    demo.delete(f"/os-keypairs/{name}", status=202)


def test_names_are_unique_to_a_user(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    imported(demo)
    fault = demo.post("/os-keypairs", {"keypair": {"name": "mine", "public_key": ED25519}}, status=409)
    assert fault["message"] == "Key pair 'mine' already exists."
    imported(admin)


def test_key_pairs_are_a_users_own(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    demos, admins = user_id(still_cloud, "demo"), user_id(still_cloud, "admin")
    imported(admin, "secret", version="2.10", user_id=demos)
    imported(admin, "hidden")
    assert demo.get("/os-keypairs/secret")["keypair"]["user_id"] == demos
    demo.get("/os-keypairs/hidden", status=404)
    demo.get(f"/os-keypairs/hidden?user_id={admins}", status=403, version="2.10")
    demo.get(f"/os-keypairs?user_id={admins}", status=403, version="2.10")
    demo.delete(f"/os-keypairs/hidden?user_id={admins}", status=403, version="2.10")
    body = {"keypair": {"name": "forged", "public_key": ED25519, "user_id": admins}}
    demo.post("/os-keypairs", body, status=403, version="2.10")
    assert len(demo.get(f"/os-keypairs?user_id={admins}", version="2.9")["keypairs"]) == 1
    assert admin.get(f"/os-keypairs/secret?user_id={demos}", version="2.10")["keypair"]["user_id"] == demos
    admin.delete(f"/os-keypairs/secret?user_id={demos}", status=204, version="2.10")
    assert demo.get("/os-keypairs") == {"keypairs": []}


def test_pages_since_2_35(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    for name in "cab":
        imported(demo, name)
    first = demo.get("/os-keypairs?limit=2", version="2.35")
    assert [entry["keypair"]["name"] for entry in first["keypairs"]] == ["a", "b"]
    (link,) = first["keypairs_links"]
    assert link["rel"] == "next"
    assert "marker=b" in link["href"]
    rest = demo.get("/os-keypairs?limit=2&marker=b", version="2.35")
    assert [entry["keypair"]["name"] for entry in rest["keypairs"]] == ["c"]
    assert "keypairs_links" not in rest
    assert len(demo.get("/os-keypairs?limit=2", version="2.34")["keypairs"]) == 3
    for query in ("limit=-1", "limit=x", "marker=none"):
        demo.get(f"/os-keypairs?{query}", status=400, version="2.35")
    demo.get("/os-keypairs?what=1", version="2.74")
    demo.get("/os-keypairs?what=1", status=400, version="2.75")


def test_the_quota_is_of_each_user(database_url: str, tmp_path: Path) -> None:
    quota = dataclasses.replace(Settings().quota, key_pairs=1)
    cloud = TestCloud(database_url, tmp_path / "state", dataclasses.replace(Settings(), quota=quota))
    try:
        demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
        imported(demo)
        fault = demo.post("/os-keypairs", {"keypair": {"name": "more", "public_key": ED25519}}, status=403)
        assert "Quota exceeded" in fault["message"]
        imported(admin)
        demo.delete("/os-keypairs/mine", status=202)
        imported(demo, "more")
    finally:
        cloud.close()
