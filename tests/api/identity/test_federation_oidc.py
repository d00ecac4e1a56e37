"""Bearer tokens of an OpenID Connect issuer, verified against the keys that it serves."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.api.identity.federation import Provider, settings
from tests.api.identity.oidc_issuer import AUDIENCE, Issuer, public, rsa_key
from tests.api.identity.people import V3, People, in_project
from tests.cloud import TestCloud

from stackyard.services.identity.federation.oidc import keys

RULES = [
    {"local": [{"user": {"id": "{0}", "name": "{0}"}}], "remote": [{"type": "HTTP_OIDC_SUB"}]},
    {"local": [{"groups": "{0}", "domain": {"id": "default"}}], "remote": [{"type": "OIDC-groups"}]},
    {"local": [{"user": {"email": "{0}"}}], "remote": [{"type": "OIDC-email"}]},
]


class Bearer:
    """A cloud that knows an issuer, and a provider whose remote id that issuer is."""

    __test__ = False

    def __init__(self, database_url: str, path: Path, issuer: Issuer, options: str = "", **federation: Any) -> None:
        self.issuer = issuer
        issuers = (f"{issuer.url} audience=other+{AUDIENCE} {options}",)
        known = settings(**{"proxy_secret": "", "oidc_issuers": issuers, **federation})
        self.cloud = TestCloud(database_url, path / "state", known)
        self.people = People(self.cloud)
        self.provider = Provider(self.people, RULES, remote_ids=[issuer.url])

    def sign_in(self, token: str, **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {token}", **headers}
        return self.cloud.http.post(self.provider.auth_url, headers=headers)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer."""
    with Issuer() as made:
        yield made


@pytest.fixture
def bearer(database_url: str, tmp_path: Path, issuer: Issuer) -> Iterator[Bearer]:
    """A cloud that knows it, and may ask for its keys as often as it likes."""
    made = Bearer(database_url, tmp_path, issuer)
    made.cloud.runtime.provide(keys.KEY_SETS, keys.KeySets(pause=0))
    try:
        yield made
    finally:
        made.cloud.close()


def test_a_good_token(bearer: Bearer) -> None:
    group, project = bearer.people.make("group"), bearer.people.make("project")
    bearer.people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    token = bearer.issuer.token(groups=[group["name"], "a;b"], email="jo@example.org")
    response = bearer.sign_in(token)
    assert response.status_code == 201, response.text
    user = response.json()["token"]["user"]
    assert (user["name"], user["OS-FEDERATION"]["groups"]) == ("jo", [{"id": group["id"]}])
    assert token not in response.text
    scoped = bearer.provider.rescope(response.headers["x-subject-token"], in_project(project))
    assert scoped.status_code == 201
    assert bearer.sign_in(bearer.issuer.token(aud=[AUDIENCE, "somebody else"])).status_code == 201
    asked = bearer.issuer.asked
    assert asked == ["/realm/.well-known/openid-configuration", "/realm/keys"], "keys are asked for once"
    lower = bearer.cloud.http.get(bearer.provider.auth_url, headers={"Authorization": f"bearer {token}"})
    assert lower.status_code == 201


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("PS256", rsa_key("other")),
        ("RS512", rsa_key("other")),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_keys_of_each_kind(bearer: Bearer, algorithm: str, key: Any) -> None:
    bearer.issuer.keys["other"] = (algorithm, key)
    assert bearer.sign_in(bearer.issuer.token("other")).status_code == 201
    strange = jwt.encode(bearer.issuer.claims(), key, algorithm, {"kid": "k1"})
    assert bearer.sign_in(strange).status_code == 401


def test_keys_are_changed(bearer: Bearer) -> None:
    assert bearer.sign_in(bearer.issuer.token()).status_code == 201
    old = bearer.issuer.token()
    bearer.issuer.keys = {"k2": ("RS256", rsa_key("k2"))}
    assert bearer.sign_in(bearer.issuer.token("k2")).status_code == 201
    assert bearer.sign_in(old).status_code == 401
    forged = jwt.encode(bearer.issuer.claims(), rsa_key("other"), "RS256", {"kid": "k2"})
    assert bearer.sign_in(forged).status_code == 401


def test_a_key_without_an_id(bearer: Bearer) -> None:
    bearer.issuer.keys = {"a": ("RS256", rsa_key()), "b": ("RS256", rsa_key("k2"))}
    for kid in ("a", "b"):
        token = jwt.encode(bearer.issuer.claims(), bearer.issuer.keys[kid][1], "RS256")
        assert bearer.sign_in(token).status_code == 201
    assert bearer.sign_in(jwt.encode(bearer.issuer.claims(), rsa_key("other"), "RS256")).status_code == 401


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"aud": "somebody else"}, "somebody else"),
        ({"aud": None}, "lacks"),
        ({"aud": []}, "lacks"),
        ({"exp": -3600}, "expired"),
        ({"exp": None}, "lacks"),
        ({"exp": "soon"}, "read"),
        ({"nbf": 3600}, "not good yet"),
        ({"iat": 3600}, "not good yet"),
        ({"sub": 5}, "read"),
    ],
)
def test_claims_that_are_refused(bearer: Bearer, claims: dict[str, Any], word: str) -> None:
    moved = {
        name: int(time.time()) + value if name in ("exp", "nbf", "iat") and isinstance(value, int) else value
        for name, value in claims.items()
    }
    response = bearer.sign_in(bearer.issuer.token(**moved))
    assert response.status_code == 401
    assert "invalid_token" in response.headers["www-authenticate"]
    assert word in response.json()["error"]["message"] or claims == {"aud": []}


def test_another_issuer_is_not_known(bearer: Bearer) -> None:
    with Issuer() as other:
        other.keys["k1"] = ("RS256", rsa_key("other"))
        assert bearer.sign_in(other.token()).status_code == 401
        assert other.asked == []
        # Signed by somebody else, though it says it is of the one that is known.
        assert bearer.sign_in(other.token(iss=bearer.issuer.url)).status_code == 401
    assert bearer.sign_in(bearer.issuer.token(iss=bearer.issuer.url + "/")).status_code == 401
    assert bearer.sign_in(bearer.issuer.token(iss=None)).status_code == 401


def test_the_issuer_must_be_the_providers(bearer: Bearer) -> None:
    other = Provider(bearer.people, RULES, remote_ids=["https://another"])
    unsaid = Provider(bearer.people, RULES)
    for provider in (other, unsaid):
        headers = {"Authorization": f"Bearer {bearer.issuer.token()}"}
        assert bearer.cloud.http.post(provider.auth_url, headers=headers).status_code == 403


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_signatures_that_are_none(bearer: Bearer) -> None:
    issuer = bearer.issuer
    body = unpadded(json.dumps(issuer.claims()).encode())
    for algorithm in ("none", "None", "NONE", "", None, 5, ["RS256"]):
        head = unpadded(json.dumps({"alg": algorithm, "typ": "JWT", "kid": "k1"}).encode())
        assert bearer.sign_in(f"{head}.{body}.").status_code == 401, algorithm
    # The public key taken for a shared secret.
    pem = (
        issuer.keys["k1"][1]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    jwk = json.dumps(public("k1", "RS256", issuer.keys["k1"][1])).encode()
    from jwt.algorithms import HMACAlgorithm

    hmac = HMACAlgorithm(HMACAlgorithm.SHA256)
    for secret in (pem, pem.strip(), jwk):
        head = unpadded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "k1"}).encode())
        signature = unpadded(hmac.sign(f"{head}.{body}".encode(), secret))
        assert bearer.sign_in(f"{head}.{body}.{signature}").status_code == 401
    # A key of the token's own.
    mine = rsa_key("other")
    for header in ({"jwk": public("k1", "RS256", mine)}, {"jku": f"{issuer.url}/mine"}, {"x5u": f"{issuer.url}/mine"}):
        token = jwt.encode(issuer.claims(), mine, "RS256", {"kid": "k1", **header})
        assert bearer.sign_in(token).status_code == 401
    assert "/realm/mine" not in issuer.asked
    good = issuer.token()
    head, _, signature = good.split(".")
    changed = unpadded(json.dumps(issuer.claims(sub="admin")).encode())
    for token in (
        f"{head}.{changed}.{signature}",
        good[:-4],
        f"{head}.{body}",
        good + "A",
        "x",
        "..",
        "a.b.c",
        "é.é.é",
    ):
        headers = {b"Authorization": b"Bearer " + token.encode()}
        response = bearer.cloud.http.post(bearer.provider.auth_url, headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 401


def test_keys_that_may_not_be_used(bearer: Bearer) -> None:
    issuer = bearer.issuer
    weak = rsa_key("weak", 1024)
    issuer.keys["weak"] = ("RS256", weak)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issuer.token("weak")
    assert bearer.sign_in(token).status_code == 401
    good = issuer.document("/realm/keys")["keys"][0]
    for wrong in ({"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "AAAA"}, {"n": 5}, {"kty": 5}):
        bearer.cloud.runtime.provide(keys.KEY_SETS, keys.KeySets(pause=0))
        issuer.documents["/realm/keys"] = {"keys": [{**good, **wrong}, 5, None]}
        assert bearer.sign_in(issuer.token()).status_code == 401, wrong
    del issuer.documents["/realm/keys"]
    assert bearer.sign_in(issuer.token()).status_code == 201


def test_an_issuer_that_does_not_give_its_keys(bearer: Bearer) -> None:
    issuer = bearer.issuer
    discovery = "/realm/.well-known/openid-configuration"
    good = issuer.document(discovery)
    for answers in (
        {"/realm/keys": []},
        {"/realm/keys": {"keys": "x"}},
        {"/realm/keys": {"keys": [], "more": "x" * 600_000}},
        {"/realm/keys": f"{issuer.url}/moved"},
        {discovery: {**good, "issuer": "https://another"}},
        {discovery: {**good, "jwks_uri": "http://192.0.2.1/keys"}},
        {discovery: {**good, "jwks_uri": "file:///etc/passwd"}},
        {discovery: {**good, "jwks_uri": None}},
    ):
        issuer.documents = answers
        response = bearer.sign_in(issuer.token())
        assert response.status_code == 503, answers
    issuer.documents = {}
    issuer.broken = True
    assert bearer.sign_in(issuer.token()).status_code == 503
    issuer.broken = False
    assert bearer.sign_in(issuer.token()).status_code == 201
    issuer.broken = True
    assert bearer.sign_in(issuer.token()).status_code == 201, "keys that are known are kept"
    assert bearer.sign_in(issuer.token(headers={"kid": "unknown"})).status_code == 401
    assert bearer.sign_in(issuer.token()).status_code == 201


def test_an_issuer_is_not_asked_again_and_again(bearer: Bearer) -> None:
    bearer.cloud.runtime.provide(keys.KEY_SETS, keys.KeySets(pause=1000))
    assert bearer.sign_in(bearer.issuer.token()).status_code == 201
    asked = len(bearer.issuer.asked)
    for number in range(20):
        assert bearer.sign_in(bearer.issuer.token(headers={"kid": f"made-up-{number}"})).status_code == 401
    assert len(bearer.issuer.asked) == asked


def test_claims_of_all_kinds(bearer: Bearer) -> None:
    names = ("text", "yes", "no", "number", "nested", "list", "nothing", "empty")
    local = {"user": {"name": " ".join(f"{{{index}}}" for index in range(6))}}
    remote = [{"type": f"OIDC-{name}"} for name in names[:6]]
    bearer.provider.map([{"local": [local], "remote": remote}])
    claims = {"text": "a;b", "yes": True, "no": False, "number": 7, "nested": {"a": [1]}, "list": [1, "x", None]}
    response = bearer.sign_in(bearer.issuer.token(**claims, nothing=None, empty=[]))
    assert response.json()["token"]["user"]["name"] == "a;b 1 0 7 {\"a\":[1]} ['1', 'x']"
    bearer.provider.map(RULES)
    assert bearer.sign_in(bearer.issuer.token(sub="a\u0000b")).status_code == 401
    head = unpadded(json.dumps({"alg": "RS256", "kid": "k1"}).encode())
    body = unpadded(json.dumps(bearer.issuer.claims(sub="\ud800")).encode())
    signer = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    signature = unpadded(signer.sign(f"{head}.{body}".encode(), bearer.issuer.keys["k1"][1]))
    assert bearer.sign_in(f"{head}.{body}.{signature}").status_code == 401
    assert bearer.sign_in(bearer.issuer.token(sub="x" * 20000)).status_code == 401
    assert bearer.sign_in(bearer.issuer.token(sub="x" * 300)).status_code == 401


def test_headers_do_not_stand_in_for_claims(bearer: Bearer) -> None:
    response = bearer.sign_in(bearer.issuer.token(sub=None), **{"OIDC-Sub": "admin", "Remote-User": "admin"})
    assert response.status_code == 401
    twice = [("Authorization", f"Bearer {bearer.issuer.token()}"), ("Authorization", f"Bearer {bearer.issuer.token()}")]
    assert bearer.cloud.http.post(bearer.provider.auth_url, headers=twice).status_code == 401  # type: ignore[arg-type]


def test_a_narrower_issuer(database_url: str, tmp_path: Path, issuer: Issuer) -> None:
    issuer.keys["e"] = ("ES256", ec.generate_private_key(ec.SECP256R1()))
    issuer.documents["/elsewhere"] = issuer.document("/realm/keys")
    keys_url = issuer.url.replace("/realm", "/elsewhere")
    bearer = Bearer(database_url, tmp_path, issuer, f"algorithms=ES256 jwks_uri={keys_url}")
    try:
        assert bearer.sign_in(issuer.token("e")).status_code == 201
        assert bearer.sign_in(issuer.token()).status_code == 401
        assert set(issuer.asked) == {"/elsewhere"}
    finally:
        bearer.cloud.close()


def test_no_issuer_is_known_by_default(database_url: str, tmp_path: Path, issuer: Issuer) -> None:
    bearer = Bearer(database_url, tmp_path, issuer, oidc_issuers=())
    try:
        assert bearer.sign_in(issuer.token()).status_code == 401
        assert issuer.asked == []
    finally:
        bearer.cloud.close()


def test_the_common_address_takes_tokens_too(bearer: Bearer) -> None:
    project = bearer.people.make("project")
    group = bearer.people.make("group")
    bearer.people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    reference = {"identity_provider": bearer.provider.id, "protocol": "mapped"}
    auth = {"identity": {"methods": ["openid"], "openid": reference}, "scope": in_project(project)}
    headers = {"Authorization": f"Bearer {bearer.issuer.token(groups=[group['name']])}"}
    response = bearer.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}, headers=headers)
    assert response.status_code == 201
    assert response.json()["token"]["methods"] == ["openid"]
    assert bearer.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code == 401
