"""Log lines are complete, one to a line, and hold no secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from stackyard.core import log
from stackyard.core.config import Log

logger = logging.getLogger("stackyard.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.getLogger("stackyard").level)
    collected = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    token = log.request_id_var.set(None)
    yield io.StringIO()
    log.request_id_var.reset(token)
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("stackyard").setLevel(before[2])
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = collected


def test_json_line(stream: io.StringIO) -> None:
    log.set_up(Log(), stream)
    log.request_id_var.set("req-1")
    logger.info("port %s is wired", "p1", extra={"kind": "port", "seconds": 0.25, "level": "odd", "tags": ("a", "b")})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "stackyard.test",
        "message": "port p1 is wired",
        "kind": "port",
        "seconds": 0.25,
        "level_": "odd",
        "tags": ["a", "b"],
        "request_id": "req-1",
    }


def test_an_exception_is_one_line_of_json_too(stream: io.StringIO) -> None:
    log.set_up(Log(), stream)
    try:
        raise ValueError('bad body {"password": "hunter2"}')
    except ValueError:
        logger.exception("request failed")
    line = json.loads(stream.getvalue())
    assert "ValueError: bad body" in line["exception"]
    assert "hunter2" not in stream.getvalue()


def test_text_line_cannot_be_forged(stream: io.StringIO) -> None:
    log.set_up(Log(format="text"), stream)
    logger.warning("name is %s", "x\n12:00:00.000 info    access: forged\x1b[2J", extra={"kind": "server"})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "warning test: name is x\\n12:00" in lines[0]
    assert "\x1b" not in lines[0]
    assert lines[0].endswith(" kind=server")


def test_levels_and_libraries(stream: io.StringIO) -> None:
    log.set_up(Log(level="info", format="text"), stream)
    logger.debug("not this")
    logging.getLogger("some.library").info("nor this")
    logging.getLogger("some.library").warning("but this")
    log.set_up(Log(level="debug", format="text"), stream)
    logger.debug("and that")
    assert [line.rsplit(": ")[-1] for line in stream.getvalue().splitlines()] == ["but this", "and that"]


def test_access_line(stream: io.StringIO) -> None:
    log.set_up(Log(), stream)
    log.access(service="network", method="GET", path="/v2.0/ports", status=200, seconds=0.0012345, client="10.0.0.1")
    log.access(service="network", method="GET", path="/v2.0/ports", status=500, seconds=1)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "GET /v2.0/ports 200"
    assert (first["status"], first["ms"], first["client"], first["level"]) == (200, 1.234, "10.0.0.1", "info")
    assert second["level"] == "warning"
    log.set_up(Log(level="warning"), stream)
    log.access(service="network", method="GET", path="/", status=200, seconds=0.1)
    assert len(stream.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "X-Auth-Token: SECRET",
        "headers {'X-Subject-Token': 'SECRET'}",
        "(b'x-auth-token', b'SECRET')",
        '{"auth": {"identity": {"password": {"user": {"password": "SECRET"}}}}}',
        "{'adminPass': 'SECRET'}",
        "password=SECRET&user=x",
        "Authorization: Bearer SECRET",
        "postgresql+psycopg://cloud:SECRET@db.example/stackyard",
        "token gAAAAABmSECRETxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx== is bad",
        "client_secret: SECRET",
        r'{"password": "a \"quoted, SECRET\" one", "user": "x"}',
        "{'password': 'two words, SECRET'}",
    ],
)
def test_secrets_in_texts_are_masked(text: str) -> None:
    masked = str(log.redact(text))
    assert "SECRET" not in masked
    assert log.MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "GET http://127.0.0.1:5000/identity/v3",
        "the token has expired",
        "no password given",
        "port fe80::1:2 bound",
        "mail a@b.c",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert log.redact(text) == text


def test_secrets_in_fields_are_masked(stream: io.StringIO) -> None:
    log.set_up(Log(), stream)
    body = {
        "user": {"name": "u", "password": "SECRET", "original_password": "SECRET"},
        "list": [{"adminPass": "SECRET"}],
    }
    logger.info("created", extra={"body": body, "X-Auth-Token": "SECRET", "secret": ["SECRET"], "token": None})
    assert "SECRET" not in stream.getvalue()
    line = json.loads(stream.getvalue())
    assert line["body"]["user"] == {"name": "u", "password": log.MASK, "original_password": log.MASK}
    assert line["token"] is None
