"""Settings come from defaults, file and environment in this order, and what is wrong with them is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackyard.core import config


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "stackyard.toml"
    path.write_text(text)
    return path


def test_nothing_has_to_be_set() -> None:
    settings = config.load(None, {"PATH": "/bin"})
    assert settings == config.Settings()
    assert settings.server.port == 5000
    assert settings.quota.port == 500
    assert settings.database_url == f"sqlite:///{config.default_state_dir()}/stackyard.sqlite"


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = _file(tmp_path, '[server]\nport = 1\nhost = "::1"\n[reconcile]\nworkers = 5\n[network]\nhost_ports = [53]\n')
    environ = {
        "STACKYARD_SERVER_PORT": "6000",
        "STACKYARD_SERVER_CLASSIC_PORTS": "Yes",
        "STACKYARD_NETWORK_HOST_PORTS": "80, 443",
        "STACKYARD_TOKEN_LIFETIME": "60",
        "STACKYARD_CONFIG": "an option of the command line",
    }
    settings = config.load(path, environ)
    assert (settings.server.host, settings.server.port, settings.server.classic_ports) == ("::1", 6000, True)
    assert (settings.reconcile.workers, settings.token.lifetime) == (5, 60)
    assert settings.network.host_ports == (80, 443)
    assert config.load(path, {}).network.host_ports == (53,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1\n", r"stackyard\.toml: server\.prot: there is no such key; did you mean port\?"),
        ("[servr]\nport = 1\n", r"there is no section \[servr\]; did you mean server\?"),
        ("[zzz]\n", r"there is no section \[zzz\]; known are server, database,"),
        ("server = 1\n", "server must be a section"),
        ("[server]\nport = '80'\n", r"stackyard\.toml: server\.port: must be a whole number, not '80'"),
        ("[server]\nport = true\n", "server.port: must be a whole number, not True"),
        ("[server]\nport = 0\n", "server.port: must be between 1 and 65535, not 0"),
        ("[server]\nclassic_ports = 1\n", "must be true or false, not 1"),
        ("[token]\nlifetime = 1.5\n", "must be a whole number, not 1.5"),
        ("[network]\nhost_ports = ['80']\n", "must be a list of whole numbers"),
        ("[network]\nhost_ports = [0]\n", "must be a list of ports between 1 and 65535"),
        ("[network]\npublic_cidr = '10.0.0.1/24'\n", r"must be an IPv4 network such as 10\.0\.0\.0/24"),
        ("[network]\nprivate_cidr_v6 = '10.0.0.0/24'\n", "must be an IPv6 network"),
        ("[log]\nlevel = 'loud'\n", "must be one of debug, info, warning, error, not 'loud'"),
        ("[quota]\nport = -2\n", "must be at least -1"),
        ("[server\n", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(config.ConfigError, match=message):
        config.load(_file(tmp_path, text), {})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"STACKYARD_SERVER_PORTS": "1"}, "no setting STACKYARD_SERVER_PORTS; did you mean STACKYARD_SERVER_PORT"),
        ({"STACKYARD_SERVR_PORT": "1"}, "no setting STACKYARD_SERVR_PORT; did you mean STACKYARD_SERVER_PORT"),
        ({"STACKYARD_SERVER_PORT": "many"}, "environment: STACKYARD_SERVER_PORT: must be a whole number, not 'many'"),
        ({"STACKYARD_SERVER_CLASSIC_PORTS": "maybe"}, "must be true or false, not 'maybe'"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(config.ConfigError, match=message):
        config.load(None, environ)


def test_other_variables_with_the_prefix_are_somebody_elses() -> None:
    assert config.load(None, {"STACKYARD_BENCH_NAMESPACE": "1", "STACKYARD_PASSWORD": "x"}) == config.Settings()


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.load(_file(tmp_path, "[server]\nport = 0\nhosts = 1\n"), {"STACKYARD_LOG_LEVEL": "x"})
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "none.toml", {})


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    path = _file(tmp_path, "[database]\nurl = 'postgresql+psycopg://cloud:hunter2@db/stackyard'\n")
    settings = config.load(path, {})
    assert settings.database_url.endswith("hunter2@db/stackyard")
    assert "hunter2" not in repr(settings)
    assert settings.shown()["database.url"] == "***"
    assert config.Settings().shown()["database.url"] == ""
    with pytest.raises(config.ConfigError) as caught:
        config.load(_file(tmp_path, "[database]\nurl = ['hunter2']\n"), {})
    assert "hunter2" not in str(caught.value)


def test_every_setting_has_type_and_help_and_a_default_that_is_allowed() -> None:
    described = config.describe()
    assert {info.key for info in described} == set(config.Settings().shown())
    assert all(info.help.endswith(".") and info.type for info in described)
    environ = {
        info.variable: ",".join(map(str, info.default)) if isinstance(info.default, tuple) else str(info.default)
        for info in described
    }
    assert config.load(None, environ) == config.Settings()


def test_state_goes_to_the_users_own_directory_unless_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert config.default_state_dir() == tmp_path / "stackyard"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.default_state_dir() == tmp_path / ".local" / "state" / "stackyard"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert config.default_state_dir() == Path("/var/lib/stackyard")
    assert config.load(None, {"STACKYARD_SERVER_STATE_DIR": "/srv/yard"}).state_dir == Path("/srv/yard")
