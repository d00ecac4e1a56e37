"""Tokens that are signed, beside those that are encrypted."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from typing import Any

import jwt
import pytest
from tests.api.identity.people import PASSWORD, SYSTEM, V3, People, in_domain, in_project

from stackyard.core.clock import SteppedClock
from stackyard.core.config_identity import Token
from stackyard.services.identity import api
from stackyard.services.identity.tokens import jws


@pytest.fixture
def signed(people: People) -> People:
    """A cloud whose new tokens are signed."""
    _use(people, "jws")
    return people


def _use(people: People, provider: str) -> None:
    runtime = people.cloud.runtime
    runtime.settings = dataclasses.replace(runtime.settings, token=Token(provider=provider))


def _works(people: People, token: str) -> bool:
    return bool(people.client(token).get(f"{V3}/auth/projects").status_code == 200)


def test_a_signed_token_is_used_validated_exchanged_and_revoked(signed: People) -> None:
    project, domain, user = signed.make("project"), signed.make("domain"), signed.user()
    actor = f"users/{user['id']}"
    signed.grant(actor, "member", f"projects/{project['id']}")
    signed.grant(actor, "reader", f"domains/{domain['id']}")
    signed.grant(actor, "reader", "system")
    for scope in ("unscoped", in_project(project), in_domain(domain), SYSTEM):
        response = signed.sign_in(user, scope)
        token = response.headers["x-subject-token"]
        assert token.count(".") == 2
        assert jwt.get_unverified_header(token)["alg"] == "ES256"
        assert _works(signed, token)
        shown = signed.validate(token).json()["token"]
        assert shown == response.json()["token"]
    unscoped = signed.token(user, "unscoped")
    identity = {"methods": ["token"], "token": {"id": unscoped}}
    scoped = signed.cloud.http.post(
        f"{V3}/auth/tokens", json={"auth": {"identity": identity, "scope": in_project(project)}}
    )
    assert scoped.status_code == 201
    assert signed.admin.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": unscoped}).status_code == 204
    assert not _works(signed, unscoped)
    assert not _works(signed, scoped.headers["x-subject-token"])


def test_tokens_of_the_other_kind_stay_good(people: People) -> None:
    user = people.user()
    encrypted = people.token(user)
    _use(people, "jws")
    signed = people.token(user)
    assert _works(people, encrypted)
    _use(people, "fernet")
    assert _works(people, signed)


def test_application_credentials_are_signed_too(signed: People) -> None:
    project, user = signed.make("project"), signed.user()
    signed.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    client = signed.client(signed.token(user, in_project(project)))
    made = client.post(
        f"{V3}/users/{user['id']}/application_credentials", json={"application_credential": {"name": "robot"}}
    ).json()["application_credential"]
    secret = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": secret}
    response = signed.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
    assert response.status_code == 201
    token = response.headers["x-subject-token"]
    assert jwt.decode(token, options={"verify_signature": False})["openstack_app_cred_id"] == made["id"]
    assert signed.validate(token).json()["token"]["application_credential"]["id"] == made["id"]


def test_a_signed_token_expires_by_the_clouds_clock(signed: People) -> None:
    clock = SteppedClock(time.time())
    signed.cloud.database.clock = clock
    token = signed.token(signed.user())
    assert _works(signed, token)
    clock.advance(3601)
    assert not _works(signed, token)


def test_signed_tokens_outlive_one_rotation_and_not_two(signed: People) -> None:
    token = signed.token(signed.user())
    assert signed.cloud.database.write("rotate", api.rotate_keys)["jws"] == (3, 0)
    assert _works(signed, token)
    newer = signed.token(signed.user())
    assert signed.cloud.database.write("rotate", api.rotate_keys)["jws"] == (3, 1)
    assert not _works(signed, token)
    assert _works(signed, newer)


def test_more_keys_are_kept_where_that_is_wanted(people: People) -> None:
    token = people.token(people.user())
    for _ in range(3):
        people.cloud.database.write("rotate", api.rotate_keys, 5)
    assert _works(people, token)
    people.cloud.database.write("rotate", api.rotate_keys, 2)
    assert not _works(people, token)


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_forged_signatures_are_refused(signed: People) -> None:
    user = signed.user()
    token = signed.token(user)
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    own = jws.load([jws.RING.draw()])
    as_admin = {**claims, "sub": signed.admin.get(f"{V3}/users?name=admin").json()["users"][0]["id"]}
    signature = token.rsplit(".", 1)[1]
    forged = [
        f"{_part({**header, 'alg': 'none'})}.{_part(as_admin)}.",
        f"{_part(header)}.{_part(as_admin)}.{signature}",
        jwt.encode(as_admin, "k" * 32, algorithm="HS256", headers={"kid": header["kid"]}),
        jwt.encode(as_admin, own.private, algorithm="ES256", headers={"kid": header["kid"]}),
        jwt.encode(as_admin, own.private, algorithm="ES256", headers={"kid": own.key_id}),
        jwt.encode(as_admin, own.private, algorithm="ES256"),
        "..",
        "a.b.c",
        f"{_part({'kid': ['x'], 'alg': 'ES256'})}.{_part(as_admin)}.{signature}",
        f"{_part(header)}.{'A' * 20000}.{signature}",
    ]
    for text in forged:
        assert not _works(signed, text), text[:80]
        assert signed.validate(text).status_code == 404


def test_a_cloud_without_signing_keys_refuses_signed_tokens(people: People) -> None:
    _use(people, "jws")
    token = people.token(people.user())
    people.cloud.database.write("forget", lambda tx: tx.execute(jws.RING.table.delete()))
    assert not _works(people, token)
    people.cloud.database.write("create", api.create_keys)
    assert not _works(people, token)
    assert _works(people, people.token(people.user()))


def test_passwords_are_not_in_signed_tokens(signed: People) -> None:
    claims = jwt.decode(signed.token(signed.user()), options={"verify_signature": False})
    assert PASSWORD not in json.dumps(claims)
    assert set(claims) == {"sub", "iat", "exp", "openstack_methods", "openstack_audit_ids"}
