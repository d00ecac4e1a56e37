"""Settings: defaults here, then a TOML file, then the environment (STACKYARD_<SECTION>_<KEY>), later ones winning.

Nothing has to be set. A key that does not exist is an error that names the nearest one, since a misspelt setting that
is silently ignored is found out too late. Every wrong key and value of a file is told at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from stackyard.core.config_checks import (
    at_least,
    between,
    one_of,
    setting,
    short_name,
)
from stackyard.core.config_compute import Compute
from stackyard.core.config_federation import Federation
from stackyard.core.config_identity import Password, Token
from stackyard.core.config_image import Image
from stackyard.core.config_network import Network
from stackyard.core.config_plugins import Cni, Kuryr
from stackyard.core.config_values import NAMES, converted, from_text
from stackyard.core.config_volume import Volume

PREFIX = "STACKYARD_"
NOT_SETTINGS = frozenset({"STACKYARD_CONFIG", "STACKYARD_STATE_DIR", "STACKYARD_PASSWORD"})
"""Variables of the command line, not of this module: they are also options of `stackyard`."""


class ConfigError(ValueError):
    """Settings that cannot be used; one line for each thing wrong, with file or variable, key, and what is expected."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the cloud listens and keeps its state."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(5000, "The one port that serves every API under a path.", between(1, 65535))
    classic_ports: bool = setting(
        default=False, help_text="Also listen on each service's well-known port (9292, 9696, 9517, ...)."
    )
    public_url: str = setting("", "URL that clients reach the cloud by, for the catalog; empty: from host and port.")
    region: str = setting("RegionOne", "Name of the region in the catalog.")
    host_name: str = setting("", "Name of this host among the cloud's hosts; empty: the machine's own.", short_name)
    state_dir: str = setting("", "Directory of all state; empty: /var/lib/stackyard as root, else the XDG state home.")


@dataclass(frozen=True, slots=True)
class Database:
    """Where rows are kept."""

    url: str = setting(
        "", "SQLAlchemy URL, postgresql+psycopg://...; empty: SQLite in the state directory.", secret=True
    )
    pool_size: int = setting(8, "Connections kept open.", between(1, 1000))


@dataclass(frozen=True, slots=True)
class Credential:
    """Credentials beside passwords: EC2 keys, one-time-passcode seeds, certificates."""

    key_file: str = setting(
        "",
        "File whose content (32 characters or more) locks the keys that credentials are encrypted with; empty: one "
        "that is made in the state directory.",
    )
    user_limit: int = setting(-1, "How many credentials a user may have; -1: any number.", at_least(-1))
    signature_lifetime: int = setting(
        900, "Seconds that a signed EC2 or OAuth request is good for, before and after its own time.", at_least(1)
    )
    presigned_lifetime: int = setting(
        604800,
        "Seconds that an S3 request is good for after its own time: addresses are signed in advance.",
        at_least(1),
    )


@dataclass(frozen=True, slots=True)
class Trust:
    """Trusts, by which a user lends roles to another."""

    max_redelegation_count: int = setting(3, "How many times a trust may be handed on at most.", at_least(0))


@dataclass(frozen=True, slots=True)
class OAuth1:
    """OAuth 1.0a consumers and their tokens."""

    request_token_duration: int = setting(28800, "Seconds to authorise a request token in; 0: any time.", at_least(0))
    access_token_duration: int = setting(86400, "Seconds that an access token lives; 0: for ever.", at_least(0))


@dataclass(frozen=True, slots=True)
class Ldap:
    """Domains whose users are in an LDAP directory; how to reach each is in the domain's own configuration."""

    refresh: int = setting(60, "Seconds between two looks at a whole directory.", between(1, 86400))


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Projects below projects, and roles that imply roles."""

    max_project_tree_depth: int = setting(
        5, "How many projects may stand below one another, the domain not counted.", at_least(1)
    )
    prohibited_implied_roles: str = setting(
        "admin", "Names, with commas between them, of roles that no other role may imply."
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may do what; the rules themselves are in policy.yaml."""

    enforce_scope: bool = setting(
        default=True, help_text="Refuse tokens of a scope (project, domain, system) that a rule is not for."
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """The container engine of this machine."""

    docker_socket: str = setting("", "Path of the Docker Engine's socket; empty: the usual places are tried.")
    own_engine: bool = setting(
        default=False, help_text="Start a Docker Engine of the cloud's own even when one answers."
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged, and how."""

    level: str = setting("info", "Least severe level that is written.", one_of("debug", "info", "warning", "error"))
    format: str = setting("json", "json: one object a line; text: for reading in a terminal.", one_of("json", "text"))


@dataclass(frozen=True, slots=True)
class Reconcile:
    """The engine that makes what is wanted true."""

    workers: int = setting(8, "Resources worked on at the same time.", between(1, 256))


@dataclass(frozen=True, slots=True)
class Quota:
    """What a project may own by default, by OpenStack's names and with OpenStack's figures; -1 is no limit."""

    network: int = setting(100, "Networks.", at_least(-1))
    subnet: int = setting(100, "Subnets.", at_least(-1))
    subnetpool: int = setting(-1, "Subnet pools.", at_least(-1))
    port: int = setting(500, "Ports.", at_least(-1))
    router: int = setting(10, "Routers.", at_least(-1))
    floatingip: int = setting(50, "Floating IPs.", at_least(-1))
    trunk: int = setting(-1, "Trunks.", at_least(-1))
    security_group: int = setting(10, "Security groups.", at_least(-1))
    security_group_rule: int = setting(100, "Security group rules.", at_least(-1))
    rbac_policy: int = setting(10, "RBAC policies: what a project shares with others.", at_least(-1))
    containers: int = setting(40, "Containers.", at_least(-1))
    cpu: int = setting(20, "CPUs of all containers.", at_least(-1))
    memory: int = setting(51200, "Memory of all containers in MiB.", at_least(-1))
    disk: int = setting(100, "Disk of all containers in GiB.", at_least(-1))
    images: int = setting(-1, "Images.", at_least(-1))
    instances: int = setting(10, "Servers.", at_least(-1))
    cores: int = setting(20, "Virtual CPUs of all servers.", at_least(-1))
    ram: int = setting(51200, "Memory of all servers in MiB.", at_least(-1))
    metadata_items: int = setting(128, "Metadata items of a server.", at_least(-1))
    injected_files: int = setting(5, "Files that a server is made with.", at_least(-1))
    injected_file_content_bytes: int = setting(10240, "Bytes of such a file.", at_least(-1))
    injected_file_path_bytes: int = setting(255, "Bytes of such a file's path.", at_least(-1))
    key_pairs: int = setting(100, "Key pairs of a user.", at_least(-1))
    server_groups: int = setting(10, "Server groups.", at_least(-1))
    server_group_members: int = setting(10, "Servers in a server group.", at_least(-1))
    volumes: int = setting(10, "Volumes.", at_least(-1))
    snapshots: int = setting(10, "Snapshots of volumes.", at_least(-1))
    gigabytes: int = setting(1000, "GiB of all volumes and snapshots.", at_least(-1))
    per_volume_gigabytes: int = setting(-1, "GiB of one volume.", at_least(-1))
    backups: int = setting(10, "Backups of volumes.", at_least(-1))
    backup_gigabytes: int = setting(1000, "GiB of all backups.", at_least(-1))
    groups: int = setting(10, "Groups of volumes.", at_least(-1))


@dataclass(frozen=True, slots=True)
class UnifiedLimit:
    """Limits that an operator registers in the identity service."""

    enforcement_model: str = setting(
        "flat",
        "flat: a project's limit stands alone; strict_two_level: it lies within its domain's, and projects are at most "
        "two deep.",
        one_of("flat", "strict_two_level"),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on single requests."""

    max_body: int = setting(16 * 1024 * 1024, "Largest JSON body in bytes; uploads stream and have none.", at_least(1))


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, by section."""

    server: Server = Server()
    database: Database = Database()
    token: Token = Token()  # noqa: RUF009  frozen
    password: Password = Password()  # noqa: RUF009  frozen
    credential: Credential = Credential()
    trust: Trust = Trust()
    oauth1: OAuth1 = OAuth1()
    ldap: Ldap = Ldap()
    federation: Federation = Federation()  # noqa: RUF009  frozen
    hierarchy: Hierarchy = Hierarchy()
    policy: Policy = Policy()
    engine: Engine = Engine()
    network: Network = Network()  # noqa: RUF009  frozen
    image: Image = Image()  # noqa: RUF009  frozen
    compute: Compute = Compute()  # noqa: RUF009  frozen
    volume: Volume = Volume()  # noqa: RUF009  frozen
    kuryr: Kuryr = Kuryr()  # noqa: RUF009  frozen
    cni: Cni = Cni()  # noqa: RUF009  frozen
    log: Log = Log()
    reconcile: Reconcile = Reconcile()
    quota: Quota = Quota()
    unified_limit: UnifiedLimit = UnifiedLimit()
    limits: Limits = Limits()

    @property
    def state_dir(self) -> Path:
        """The directory of all state."""
        return Path(self.server.state_dir) if self.server.state_dir else default_state_dir()

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database; may hold a password."""
        return self.database.url or f"sqlite:///{self.state_dir / 'stackyard.sqlite'}"

    def shown(self) -> dict[str, object]:
        """ "section.key" -> value in force, secrets masked, for `stackyard config` and the log."""
        return {
            f"{section}.{known.name}": "***" if known.metadata["secret"] and value else value
            for section, known in _declared()
            for value in [getattr(getattr(self, section), known.name)]
        }


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting, for documentation: its "section.key", type, default and help."""

    key: str
    type: str
    default: object
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.key.upper().replace(".", "_")


def default_state_dir() -> Path:
    """Where state is kept when nothing says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/stackyard")
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "stackyard"


def describe() -> list[SettingInfo]:
    """Every setting there is, in the order of its declaration."""
    return [
        SettingInfo(
            f"{section}.{known.name}", NAMES[_types(section)[known.name]], known.default, known.metadata["help"]
        )
        for section, known in _declared()
    ]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file, when there is one, and the environment. Raises ConfigError with all that is wrong."""
    problems: list[str] = []
    values: dict[str, dict[str, object]] = {known.name: {} for known in fields(Settings)}
    if path is not None:
        _read_file(path, values, problems)
    _read_environment(environ, values, problems)
    if problems:
        raise ConfigError("\n".join(problems))
    sections = get_type_hints(Settings)
    return Settings(**{section: sections[section](**values[section]) for section in values})


def overlay(settings: Settings, given: Mapping[str, Mapping[str, object]]) -> Settings:
    """`settings` with what the command line gave, by section, on top. Raises ConfigError with all that is wrong."""
    problems: list[str] = []
    values: dict[str, dict[str, object]] = {section: {} for section in given}
    for section, options in given.items():
        for key, value in options.items():
            _take(f"--{key.replace('_', '-')}", section, key, value, (values, problems))
    if problems:
        raise ConfigError("\n".join(problems))
    sections: dict[str, Any] = {
        section: replace(getattr(settings, section), **chosen) for section, chosen in values.items()
    }
    return replace(settings, **sections)


def _read_file(path: Path, values: dict[str, dict[str, object]], problems: list[str]) -> None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: is not TOML: {error}")
        return
    for section, table in content.items():
        if section not in values:
            problems.append(f"{path}: there is no section [{section}]{_near(section, list(values))}")
        elif not isinstance(table, dict):
            problems.append(f"{path}: {section} must be a section, [{section}], not a value")
        else:
            for key, value in table.items():
                _take(f"{path}: {section}.{key}", section, key, value, (values, problems))


def _read_environment(environ: Mapping[str, str], values: dict[str, dict[str, object]], problems: list[str]) -> None:
    known = {info.variable: info.key.split(".") for info in describe()}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        if variable not in known:
            if _meant(variable, values, known):
                problems.append(f"environment: there is no setting {variable}{_near(variable, list(known))}")
            continue
        section, key = known[variable]
        _take(f"environment: {variable}", section, key, from_text(text, _types(section)[key]), (values, problems))


def _meant(variable: str, sections: Iterable[str], known: Iterable[str]) -> bool:
    """Whether a variable that sets nothing was meant to: it names a section, or is nearly the name of a setting.

    The prefix alone is not enough, for scripts and tests around the cloud have variables of their own.
    """
    import difflib

    of_section = any(variable.startswith(f"{PREFIX}{section.upper()}_") for section in sections)
    return of_section or bool(difflib.get_close_matches(variable, list(known), n=1, cutoff=0.85))


def _take(
    where: str, section: str, key: str, value: object, into: tuple[dict[str, dict[str, object]], list[str]]
) -> None:
    """Check one value and put it where it belongs, or say what is wrong with it."""
    values, problems = into
    known = {declared.name: declared for owner, declared in _declared() if owner == section}
    if key not in known:
        problems.append(f"{where}: there is no such key{_near(key, list(known))}")
        return
    wanted, metadata = _types(section)[key], known[key].metadata
    read = converted(value, wanted)
    shown = "" if metadata["secret"] else f", not {value!r}"
    if read is None:
        problems.append(f"{where}: must be {NAMES[wanted]}{shown}")
    elif metadata["check"] and (expected := metadata["check"](read)):
        problems.append(f"{where}: must be {expected}{shown}")
    else:
        values[section][key] = read


def _declared() -> list[tuple[str, Field[Any]]]:
    return [(part.name, known) for part in fields(Settings) for known in fields(type(part.default))]  # type: ignore[arg-type]


def _types(section: str) -> dict[str, object]:
    return get_type_hints(get_type_hints(Settings)[section])


def _near(name: str, names: list[str]) -> str:
    import difflib

    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else f"; known are {', '.join(names)}" if len(names) < 30 else ""
