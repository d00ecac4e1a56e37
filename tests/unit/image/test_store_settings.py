"""How an operator describes stores, and what is said of descriptions that are wrong; jobs are few and end once."""

from __future__ import annotations

import threading

import pytest

from stackyard.core import config
from stackyard.core.config_image import StoreSetting, parse_store
from stackyard.services.image.jobs import Jobs


def test_a_store_is_a_text() -> None:
    assert parse_store("file") == StoreSetting("file", "file", "", 0, {})
    text = "archive type=s3 endpoint=https://s3.example.org bucket=images weight=-5 description='Far away'"
    options = {"endpoint": "https://s3.example.org", "bucket": "images"}
    assert parse_store(text) == StoreSetting("archive", "s3", "Far away", -5, options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with its id"),
        ("no/slash", "begins with its id"),
        ("os_glance_staging path=/x", "begins with its id"),
        ("fast", "path="),
        ("fast path=relative", "path="),
        ("fast path=/x weight=heavy", "weight"),
        ("fast path=/x color=red", "has no 'color'"),
        ("fast path=/x bare", "key=value"),
        ("fast type=tape", "type must be one of"),
        ("archive type=s3 bucket=b", "endpoint"),
        ("archive type=s3 endpoint=ftp://x bucket=b", "endpoint"),
        ("web type=http path=/x", "has no 'path'"),
        ("fast path='/x", "quotation"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_store(text)


def test_settings_of_stores_are_checked_at_once() -> None:
    for stores, said in (("fast", "path="), ("web type=http", "written to"), ("file,file", "different ids")):
        with pytest.raises(config.ConfigError, match=said):
            config.load(None, {"STACKYARD_IMAGE_STORES": stores})
    with pytest.raises(config.ConfigError, match="ACCESS-KEY") as failure:
        config.load(None, {"STACKYARD_IMAGE_S3_CREDENTIALS": "archive very-secret"})
    assert "very-secret" not in str(failure.value)
    loaded = config.load(None, {"STACKYARD_IMAGE_S3_CREDENTIALS": "a KEY SECRET", "STACKYARD_IMAGE_ALLOWED_PORTS": ""})
    assert loaded.image.s3_credentials == ("a KEY SECRET",)
    assert loaded.image.allowed_ports == ()
    assert "SECRET" not in repr(loaded)
    assert loaded.shown()["image.s3_credentials"] == "***"


def test_jobs_are_few_and_one_for_each_image() -> None:
    jobs, go, ended = Jobs(1), threading.Event(), threading.Event()
    runs: list[str] = []

    def work() -> None:
        runs.append("a")
        go.wait(10)

    assert not jobs.run("a", work, patience=0.01, ended=ended.set)
    assert jobs.running("a")
    assert not jobs.run("a", work, patience=0.01, ended=ended.set)
    assert not jobs.run("b", work, patience=0.01, ended=ended.set)  # its turn is to come
    go.set()
    assert jobs.run("a", work, patience=10, ended=ended.set)
    assert ended.wait(10)
    assert runs == ["a"]
    assert jobs.run("b", lambda: runs.append("b"), patience=10, ended=ended.set)
    assert runs == ["a", "b"]


def test_what_a_job_raises_is_raised_where_it_is_waited_for() -> None:
    jobs = Jobs(2)

    def fail() -> None:
        raise OSError("the disk broke")

    with pytest.raises(OSError, match="the disk broke"):
        jobs.run("a", fail, patience=10, ended=lambda: None)
    assert jobs.run("a", lambda: None, patience=10, ended=lambda: None)
