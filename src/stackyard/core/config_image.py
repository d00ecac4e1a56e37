"""The settings of images: where their data is kept, what may be fetched from elsewhere, what is shown of it.

A store is one text, `ID key=value ...`, so that a file and an environment variable say it alike:

    stores = ["file", "fast path=/srv/fast weight=20 description='On SSDs'",
              "archive type=s3 endpoint=https://s3.example.org bucket=images", "web type=http"]
    s3_credentials = ["archive ACCESS-KEY SECRET-KEY"]
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from stackyard.core.config_checks import at_least, between, one_of, ports, setting

STORE_TYPES = ("file", "s3", "http")
_KEYS = {
    "file": {"path"},
    "s3": {"endpoint", "bucket", "region", "prefix"},
    "http": set[str](),
}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoreSetting:
    """One store as the operator described it; `options` are those of its type."""

    id: str
    type: str
    description: str
    weight: int
    options: dict[str, str]


def parse_store(text: str) -> StoreSetting:
    """Read a store's text. Raises ValueError saying what is wrong."""
    words = shlex.split(text)
    if not words or not _ID.fullmatch(words[0]) or words[0].startswith("os_glance_"):
        raise ValueError(f"a store begins with its id (letters, digits, '_', '.', '-'): {text!r}")
    pairs = dict[str, str]()
    for word in words[1:]:
        key, found, value = word.partition("=")
        if not found:
            raise ValueError(f"store {words[0]}: expected key=value, not {word!r}")
        pairs[key] = value
    kind = pairs.pop("type", "file")
    description, weight = pairs.pop("description", ""), pairs.pop("weight", "0")
    if kind not in STORE_TYPES:
        raise ValueError(f"store {words[0]}: type must be one of {', '.join(STORE_TYPES)}, not {kind!r}")
    if unknown := sorted(set(pairs) - _KEYS[kind]):
        raise ValueError(f"store {words[0]}: a store of type {kind} has no {unknown[0]!r}")
    if not re.fullmatch(r"-?\d{1,9}", weight):
        raise ValueError(f"store {words[0]}: weight must be a whole number, not {weight!r}")
    if kind == "s3" and not (pairs.get("endpoint", "").startswith(("http://", "https://")) and pairs.get("bucket")):
        raise ValueError(f"store {words[0]}: an S3 store needs endpoint=http(s)://... and bucket=...")
    if kind == "file" and words[0] != "file" and not pairs.get("path", "").startswith("/"):
        raise ValueError(f"store {words[0]}: a file store needs path=/an/absolute/path")
    return StoreSetting(words[0], kind, description, int(weight), pairs)


def _stores(value: tuple[str, ...]) -> str | None:
    try:
        found = [parse_store(text) for text in value]
    except ValueError as error:
        return f"a list of stores ({error})"
    if len({store.id for store in found}) < len(found):
        return "a list of stores with different ids"
    if all(store.type == "http" for store in found):
        return "a list of stores of which one can be written to (type file or s3)"
    return None


def _credentials(value: tuple[str, ...]) -> str | None:
    fits = all(len(text.split()) == 3 for text in value)
    return None if fits else "a list of texts 'STORE ACCESS-KEY SECRET-KEY'"


def _hosts(value: tuple[str, ...]) -> str | None:
    fits = all(re.fullmatch(r"\*|[A-Za-z0-9_.:-]{1,255}", host) for host in value)
    return None if fits else "a list of host names or addresses, or '*'"


@dataclass(frozen=True, slots=True)
class Image:
    """Images: their stores, and what is fetched from elsewhere. The allow-lists' names and meanings are Glance's."""

    stores: tuple[str, ...] = setting(
        ("file",),
        "Where data is kept: texts 'ID type=file|s3|http key=value ...' with path for file; endpoint, bucket, region "
        "and prefix for s3; weight (highest first) and description for all. 'file' is a folder in the state.",
        _stores,
    )
    default_store: str = setting("", "Id of the store that takes what names none; empty: the first that can.")
    s3_credentials: tuple[str, ...] = setting(
        (), "Keys of S3 stores: texts 'STORE ACCESS-KEY SECRET-KEY'.", _credentials, secret=True
    )
    size_limit: int = setting(1 << 40, "Most bytes of data that an image may have.", at_least(1))
    allowed_schemes: tuple[str, ...] = setting(("http", "https"), "Schemes that data is fetched by.")
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Hosts that data is fetched from (web-download, tasks, http locations); empty: none; '*': any public one. "
        "A private, loopback or link-local address must be named, or have its host's name here.",
        _hosts,
    )
    disallowed_hosts: tuple[str, ...] = setting((), "Hosts that '*' does not mean.", _hosts)
    allowed_ports: tuple[int, ...] = setting((80, 443), "Ports that data is fetched from; empty: any.", ports)
    disallowed_ports: tuple[int, ...] = setting(
        (), "Ports that nothing is fetched from; looked at when allowed_ports is empty.", ports
    )
    fetch_deadline: int = setting(3600, "Seconds that fetching one image's data may take.", at_least(1))
    fetches: int = setting(4, "Images whose data is fetched or imported at the same time.", between(1, 64))
    http_retries: int = setting(3, "Tries of hashing what lies at an http location.", between(1, 100))
    show_multiple_locations: bool = setting(
        default=False, help_text="Show where images' data lies, and let it be changed by PATCH /locations."
    )
    show_image_direct_url: bool = setting(default=False, help_text="Show the address of an image's data as direct_url.")
    do_secure_hash: bool = setting(
        default=True, help_text="Read and hash what is added as a location, rather than believe the client's digest."
    )
    disk_formats: tuple[str, ...] = setting(
        ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"),
        "Disk formats that images may have; gpt and luks are known as well.",
    )
    container_formats: tuple[str, ...] = setting(
        ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed", "rootfs"),
        "Container formats that images may have.",
    )
    require_format_match: bool = setting(
        default=True, help_text="Refuse data that is not of its image's disk_format. What is unsafe is always refused."
    )
    unpacked_limit: int = setting(64 << 30, "Most bytes that packed data may unpack to.", at_least(1))
    unpacked_ratio: int = setting(
        250, "Most that packed data may grow by when it is unpacked, past 256 MiB.", between(1, 1_000_000)
    )
    cache_size: int = setting(
        10 << 30, "Most bytes that a host keeps of images in remote stores; 0: no cache, and no API.", at_least(0)
    )
    image_property_quota: int = setting(128, "Most custom properties of an image; -1: any number.", at_least(-1))
    image_tag_quota: int = setting(128, "Most tags of an image; -1: any number.", at_least(-1))
    image_member_quota: int = setting(128, "Most projects that an image is shared with; -1: any number.", at_least(-1))
    image_location_quota: int = setting(10, "Most locations of an image; -1: any number.", at_least(-1))
    property_protections: str = setting(
        "", "Path of a file of property protections, as Glance has it; empty: whoever may change an image may set any."
    )
    property_protection_rule_format: str = setting(
        "roles", "What that file's lines hold: roles, or the name of a rule each.", one_of("roles", "policies")
    )
    schema_file: str = setting(
        "", "Path of a JSON file that describes standard properties, as schema-image.json of Glance; empty: as there."
    )
