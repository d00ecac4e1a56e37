"""What fields of servers may hold, as Nova's schemas have it: texts, numbers and flags as old clients write them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import secrets
import string
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, InvalidField
from stackyard.core.microversion import Microversion

MOST_TAGS = 50
LONGEST_TAG = 60
LONGEST_USER_DATA = 65535

_META_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_HOSTNAME = re.compile(r"[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+")
_FQDN = re.compile(r"[a-zA-Z0-9\-._]*")
_CLEAR_SYMBOLS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TRUE = frozenset({"True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"})
_FALSE = frozenset({"False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"})


def check_name(field: str, value: str) -> str:
    """A name: 1 to 255 printable characters, no white space around them."""
    if not 1 <= len(value) <= 255:
        raise InvalidField(field, f"'{value[:40]}' has {len(value)} characters; a name has 1 to 255.")
    if value != value.strip() or not _is_printable(value):
        raise InvalidField(
            field, f"'{value[:80]}' may have printable characters only. Can not start or end with whitespace."
        )
    return value


def check_description(field: str, value: str | None) -> str | None:
    """A description: at most 255 printable characters, or none."""
    if value is not None and (len(value) > 255 or not _is_printable(value)):
        raise InvalidField(field, "a description has at most 255 characters, all printable.")
    return value


def _is_printable(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return all(
        not (category := unicodedata.category(char)).startswith("C") and category not in ("Zl", "Zp") for char in text
    )


def check_hostname(call: Call, field: str, value: str) -> str:
    """A host name: one label until 2.93, with dots from then on."""
    if call.since(2, 94):
        sound = 1 <= len(value) <= 255 and _FQDN.fullmatch(value)
    else:
        sound = 2 <= len(value) <= 63 and _HOSTNAME.fullmatch(value)
    if not sound:
        raise InvalidField(field, f"'{value[:80]}' is not a host name.")
    return value


def check_fqdn(field: str, value: str) -> str:
    """The name of a host of the cloud."""
    if not (1 <= len(value) <= 255 and _FQDN.fullmatch(value)):
        raise InvalidField(field, f"'{value[:80]}' is not the name of a host.")
    return value


def hostname_of(name: str, server_id: str) -> str:
    """The host name that a server of this name has."""
    found = re.sub(r"(_|\s)+", "-", name.encode("latin-1", "ignore").decode("latin-1"))
    found = re.sub(r"\.", "-", found)
    found = re.sub(r"[^\w.-]+", "", found, flags=re.ASCII).lower().strip(".-")[:63]
    return found or f"Server-{server_id}"


def check_metadata(
    tx: Transaction, call: Call, field: str, given: Mapping[str, Any], *, present: int = 0
) -> dict[str, str]:
    """Metadata: keys of letters, digits, `-_:. `, values of at most 255 characters; raises Forbidden past the quota."""
    for key, value in given.items():
        if not _META_KEY.fullmatch(key):
            raise InvalidField(
                f"{field}.{key[:80]}", "a key has 1 to 255 letters, digits, spaces and characters of -_:."
            )
        if not isinstance(value, str) or len(value) > 255:
            raise InvalidField(f"{field}.{key}", "a value is a text of at most 255 characters.")
    require_limit(tx, call, "metadata_items", max(present, len(given)), "Metadata property count")
    return dict(given)


def require_limit(tx: Transaction, call: Call, resource: str, amount: int, what: str) -> None:
    """Raise Forbidden when `amount` is more than the project's limit of what is limited but not counted."""
    limit = call.runtime.quotas.limit(tx, call.caller.project_id or "", f"compute.{resource}")
    if limit != -1 and amount > limit:
        raise Forbidden(f"Quota exceeded for {resource}: {what} is {amount}, the limit {limit}.", kind="OverQuota")


def check_tag(field: str, tag: Any) -> str:
    """A tag: 1 to 60 characters without comma and slash."""
    if not isinstance(tag, str) or not 1 <= len(tag) <= LONGEST_TAG or "," in tag or "/" in tag:
        raise InvalidField(field, f"'{str(tag)[:80]}' is not a text of 1 to {LONGEST_TAG} characters without , and /.")
    return tag


def check_tags(field: str, tags: Iterable[Any]) -> list[str]:
    """Tags, each once and in order; raises InvalidField for too many."""
    found = list(tags)
    if len(found) > MOST_TAGS:
        raise InvalidField(field, f"a server has at most {MOST_TAGS} tags.")
    return sorted({check_tag(f"{field}[{index}]", tag) for index, tag in enumerate(found)})


def check_base64(field: str, value: str, limit: int = LONGEST_USER_DATA) -> bytes:
    """What a text in base64 holds."""
    if len(value) > limit:
        raise InvalidField(field, f"it has {len(value)} characters; the limit is {limit}.")
    try:
        return base64.b64decode(value.encode("ascii"))
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise InvalidField(field, "it is not valid base64.") from None


def read_flag(field: str, value: bool | str) -> bool:
    """A boolean, also as the words that clients write for it."""
    if isinstance(value, bool):
        return value
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidField(field, f"'{value[:40]}' is not a boolean.")


def read_count(field: str, value: int | str, *, least: int = 1) -> int:
    """A whole number of at least `least`, also as text."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidField(field, f"'{value[:40]}' is not a whole number of {least} or more.")
        value = int(value)
    if not least <= value <= 0x7FFFFFFF:
        raise InvalidField(field, f"{value} is not a whole number of {least} or more.")
    return value


def check_uuid(field: str, value: Any) -> str:
    """A UUID."""
    if not isinstance(value, str) or not ids.is_uuid(value):
        raise InvalidField(field, f"'{str(value)[:80]}' is not a UUID.")
    return value


def check_address(field: str, value: str, version: int = 0) -> str:
    """An IP address, of either version when `version` is 0."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        address = None
    if address is None or (version and address.version != version) or "%" in value:
        raise InvalidField(field, f"'{value[:80]}' is not an {f'IPv{version}' if version else 'IP'} address.")
    return str(address)


def check_disk_config(field: str, value: str) -> str:
    """How the root disk is partitioned."""
    if value not in ("AUTO", "MANUAL"):
        raise InvalidField(field, f"'{value[:40]}' is neither AUTO nor MANUAL.")
    return value


def check_certificates(field: str, value: list[str] | None) -> list[str] | None:
    """Ids of trusted certificates: 1 to 50, each once."""
    if value is None:
        return None
    if not 1 <= len(value) <= 50 or len(set(value)) != len(value) or not all(value):
        raise InvalidField(field, "it is a list of 1 to 50 ids, each once.")
    return value


def new_password() -> str:
    """A password as Nova draws them: 12 letters and digits that are not mistaken for each other."""
    while True:
        found = "".join(secrets.choice(_CLEAR_SYMBOLS) for _ in range(12))
        kinds = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
        if all(any(char in kind for char in found) for kind in kinds):
            return found


def require_known(
    call: Call, body: Any, spans: Mapping[str, tuple[tuple[int, int], tuple[int, int]]], envelope: str
) -> None:
    """Refuse fields that the call's microversion does not have; `spans` has first and last by the struct's names."""
    version = call.microversion or Microversion(2, 1)
    for name, (first, last) in spans.items():
        if getattr(body, name) is not UNSET and not first <= version <= last:
            raise BadRequest(
                f"Invalid input for field/attribute {envelope}. Additional properties are not allowed "
                f"('{name}' was unexpected at microversion {version})."
            )
