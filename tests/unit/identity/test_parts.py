"""Passwords, memory, URLs and bodies by themselves."""

from __future__ import annotations

import pytest

from stackyard.core.errors import ApiError
from stackyard.services.identity import ROUTES, attributes, passwords
from stackyard.services.identity.catalog.view import render_url, unknown_places
from stackyard.services.identity.generation import Memory
from stackyard.services.identity.projects.bodies import NewProject


def test_passwords() -> None:
    stored = passwords.hash_password("secret")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify_password(stored, "secret")
    assert not passwords.verify_password(stored, "Secret")
    assert not passwords.verify_password(None, "secret")
    assert not passwords.verify_password("garbage", "secret")
    assert passwords.hash_password("secret") != stored


def test_drawn_secrets() -> None:
    stored = passwords.digest_secret("drawn")
    assert "drawn" not in stored
    assert passwords.verify_password(stored, "drawn")
    assert not passwords.verify_password(stored, "guessed")


def test_memory_keeps_one_generation_and_a_bounded_number() -> None:
    memory = Memory(size=2)
    memory.put(1, "a", "A")
    assert memory.get(1, "a") == "A"
    assert memory.get(2, "a") is None
    memory.put(2, "b", "B")
    assert memory.get(1, "a") is None
    memory.put(2, "c", "C")
    assert memory.get(2, "b") == "B"
    memory.put(2, "d", "D")
    assert memory.get(2, "c") is None
    assert (memory.get(2, "b"), memory.get(2, "d")) == ("B", "D")
    assert memory.remember(2, "d", lambda: "other") == "D"


def test_memory_keeps_encoded_answers_up_to_a_weight() -> None:
    memory = Memory(size=100, heaviest=10)
    memory.put(1, "a", b"12345")
    memory.put(1, "session", object())
    memory.put(1, "b", b"12345")
    assert len(memory) == 3
    memory.put(1, "c", b"1")
    assert memory.get(1, "a") is None
    assert memory.get(1, "b") == b"12345"
    memory.put(1, "b", b"1")
    memory.put(1, "d", b"12345678")
    assert (memory.get(1, "c"), memory.get(1, "b"), memory.get(1, "d")) == (b"1", b"1", b"12345678")
    memory.put(1, "too heavy", b"12345678901")
    assert memory.get(1, "too heavy") is None
    memory.put(2, "e", b"1234567890")
    assert len(memory) == 1


def test_urls() -> None:
    values = {"project_id": "p", "user_id": None}
    assert render_url("http://a/%(project_id)s/$(project_id)s", values) == "http://a/p/p"
    assert render_url("http://a/$(user_id)s", values) is None
    assert render_url("http://a/", values) == "http://a/"
    assert unknown_places("http://a/%(tenant_id)s/$(user_id)s") == []
    assert unknown_places("http://a/%(secret)s") == ["secret"]
    assert unknown_places("http://a/$(root_url)s") == ["root_url"]
    assert unknown_places("http://a/%(project_id") != []


def test_unknown_attributes_are_kept_apart() -> None:
    body, extra = attributes.read({"name": "n", "colour": "red", "id": "x", "links": {}}, NewProject, "project")
    assert (body.name, extra) == ("n", {"colour": "red"})
    with pytest.raises(ApiError, match="name"):
        attributes.read({"colour": "red"}, NewProject, "project")


def test_every_route_that_writes_says_so() -> None:
    writing = [route for route in ROUTES if route.writes and not route.options.edge]
    assert len(writing) > 50
    assert [route.label for route in writing if not hasattr(route.operation, "__wrapped__")] == []
