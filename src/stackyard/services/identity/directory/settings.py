"""A domain's `ldap` options, by Keystone's names and with its defaults."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

DRIVER = "ldap"
"""The value of a domain's `identity.driver` that says that its users are in a directory."""

_SCOPES = ("one", "sub")
_CERTIFICATES = {"demand": ssl.CERT_REQUIRED, "allow": ssl.CERT_OPTIONAL, "never": ssl.CERT_NONE}
_YES, _NO = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", ""})


class DirectoryConfigError(ValueError):
    """Options that cannot be used; the text names the option."""


class DirectoryUrlError(DirectoryConfigError):
    """An address that is no directory's: Keystone stores it all the same, and finds no users there."""


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """How to ask one directory. `url` may name several servers, separated by commas; the first that answers is asked.

    `user_enabled_mask` is the bit of an integer attribute that says "disabled" (2 in Active Directory's
    userAccountControl); with 0 the attribute is a boolean, and `user_enabled_invert` turns that around.
    """

    url: str = "ldap://localhost"
    user: str = ""
    password: str = ""
    suffix: str = "cn=example,cn=com"
    query_scope: str = "one"
    page_size: int = 0
    chase_referrals: bool = False
    connection_timeout: int = 10
    use_tls: bool = False
    tls_req_cert: str = "demand"
    tls_cacertfile: str = ""
    tls_cacertdir: str = ""
    user_tree_dn: str = ""
    user_filter: str = ""
    user_objectclass: str = "inetOrgPerson"
    user_id_attribute: str = "cn"
    user_name_attribute: str = "sn"
    user_mail_attribute: str = "mail"
    user_description_attribute: str = "description"
    user_default_project_id_attribute: str = ""
    user_enabled_attribute: str = "enabled"
    user_enabled_mask: int = 0
    user_enabled_invert: bool = False
    user_enabled_default: str = "True"
    user_enabled_emulation: bool = False
    user_enabled_emulation_dn: str = ""
    group_tree_dn: str = ""
    group_filter: str = ""
    group_objectclass: str = "groupOfNames"
    group_id_attribute: str = "cn"
    group_name_attribute: str = "ou"
    group_member_attribute: str = "member"
    group_members_are_ids: bool = False
    group_desc_attribute: str = "description"
    group_ad_nesting: bool = False

    def __repr__(self) -> str:
        """Without the password."""
        return f"DirectorySettings({self.url!r}, suffix={self.suffix!r})"

    @property
    def user_base(self) -> str:
        """Where users are."""
        return self.user_tree_dn or f"ou=Users,{self.suffix}"

    @property
    def group_base(self) -> str:
        """Where groups are."""
        return self.group_tree_dn or f"ou=UserGroups,{self.suffix}"

    @property
    def certificate_check(self) -> ssl.VerifyMode:
        """How a server's certificate is looked at."""
        return _CERTIFICATES[self.tls_req_cert]


def read(groups: Mapping[str, Mapping[str, Any]]) -> DirectorySettings | None:
    """The settings in a domain's configuration (group -> option -> value); None where its users are our own.

    Options of Keystone's that have no meaning here (its connection pools) are passed over.
    Raises DirectoryConfigError for a value that cannot be used.
    """
    if str(groups.get("identity", {}).get("driver", "")).lower() != DRIVER:
        return None
    hints = get_type_hints(DirectorySettings)
    given = groups.get("ldap", {})
    values = {
        known.name: _convert(known.name, given[known.name], hints[known.name])
        for known in fields(DirectorySettings)
        if given.get(known.name) is not None
    }
    found = DirectorySettings(**values)
    _check(found)
    return found


def _convert(name: str, value: Any, wanted: type) -> Any:
    text = str(value).strip()
    if wanted is bool:
        if text.lower() not in _YES | _NO:
            raise DirectoryConfigError(f"ldap.{name} must be true or false.")
        return text.lower() in _YES
    if wanted is int:
        try:
            return int(text)
        except ValueError:
            raise DirectoryConfigError(f"ldap.{name} must be a whole number.") from None
    return text


def _check(found: DirectorySettings) -> None:
    if found.query_scope not in _SCOPES:
        raise DirectoryConfigError(f"ldap.query_scope must be one of {', '.join(_SCOPES)}.")
    if found.tls_req_cert not in _CERTIFICATES:
        raise DirectoryConfigError(f"ldap.tls_req_cert must be one of {', '.join(_CERTIFICATES)}.")
    if found.use_tls and found.url.startswith("ldaps://"):
        raise DirectoryConfigError("ldap.use_tls (StartTLS) cannot be used with an ldaps:// url.")
    if found.tls_cacertfile and not Path(found.tls_cacertfile).is_file():
        raise DirectoryConfigError("ldap.tls_cacertfile names a file that does not exist on this host.")
    for name in ("user_filter", "group_filter"):
        text = getattr(found, name)
        if text and not (text.startswith("(") and text.endswith(")") and text.count("(") == text.count(")")):
            raise DirectoryConfigError(f"ldap.{name} must be an LDAP filter in parentheses (RFC 4515).")
    for url in found.url.split(","):
        if not url.strip().startswith(("ldap://", "ldaps://")):
            raise DirectoryUrlError("ldap.url must begin with ldap:// or ldaps://.")
