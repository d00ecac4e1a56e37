"""Asking an LDAP directory: its users, its groups, and whether a password is right. Nothing is ever written.

Runs in worker threads. The library is imported when the first directory is asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackyard.core.errors import ServiceUnavailable
from stackyard.services.identity.directory.settings import DirectorySettings

if TYPE_CHECKING:
    from ldap3 import Connection

MATCHING_RULE_IN_CHAIN = "1.2.840.113556.1.4.1941"
"""Active Directory's rule for members of members ("LDAP_MATCHING_RULE_IN_CHAIN")."""

_TRUE = frozenset({"true", "1", "yes", "on"})
_PAGE = 500


class DirectoryUnavailable(ServiceUnavailable):
    """The directory does not answer, or refuses the account that the domain is configured with."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user as the directory has it; `local_id` is what the id attribute says."""

    local_id: str
    dn: str
    name: str
    enabled: bool
    extra: dict[str, str]
    default_project_id: str | None = None


@dataclass(frozen=True, slots=True)
class DirectoryGroup:
    """A group, and its members by DN (by local id where the settings say that members are ids)."""

    local_id: str
    dn: str
    name: str
    description: str
    members: frozenset[str]


class Directory:
    """One directory."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings

    def users(self) -> list[DirectoryUser]:
        """Every user."""
        with self._session() as session:
            return list(self._read_users(session, ""))

    def groups(self) -> list[DirectoryGroup]:
        """Every group, with its members."""
        with self._session() as session:
            return [self._with_nested(session, group) for group in self._read_groups(session, "")]

    def user_named(self, name: str) -> DirectoryUser | None:
        """The user of that name, if there is exactly one."""
        with self._session() as session:
            found = list(self._read_users(session, _equals(self.settings.user_name_attribute, name)))
        return found[0] if len(found) == 1 else None

    def user_at(self, dn: str) -> DirectoryUser | None:
        """The user at a DN, if it is still there."""
        with self._session() as session:
            found = list(self._read_users(session, "", base=dn))
        return found[0] if found else None

    def groups_of(self, user: DirectoryUser) -> list[DirectoryGroup]:
        """The groups that a user is a member of."""
        settings = self.settings
        member = user.local_id if settings.group_members_are_ids else user.dn
        attribute = settings.group_member_attribute
        if settings.group_ad_nesting:
            attribute = f"{attribute}:{MATCHING_RULE_IN_CHAIN}:"
        with self._session() as session:
            return list(self._read_groups(session, _equals(attribute, member)))

    def is_password(self, dn: str, password: str) -> bool:
        """Whether a DN signs in with that password.

        An empty one is never right: to a directory that is an anonymous sign-in, which succeeds (RFC 4513, 5.1.2).
        """
        from ldap3.core import exceptions

        if not password or "\x00" in password:
            return False
        try:
            connection = self._connect(dn, password)
        except (
            exceptions.LDAPBindError,
            exceptions.LDAPInvalidCredentialsResult,
            exceptions.LDAPInappropriateAuthenticationResult,
            exceptions.LDAPConstraintViolationResult,
            exceptions.LDAPUnwillingToPerformResult,
            exceptions.LDAPNoSuchObjectResult,
        ):
            return False
        except exceptions.LDAPException as error:
            raise self._unavailable(error) from None
        connection.unbind()
        return True

    # -- how it is asked ------------------------------------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        from ldap3.core.exceptions import LDAPException

        try:
            connection = self._connect(self.settings.user, self.settings.password)
            try:
                yield connection
            finally:
                connection.unbind()
        except LDAPException as error:
            raise self._unavailable(error) from None

    def _connect(self, dn: str, password: str) -> Connection:
        import ldap3

        settings = self.settings
        timeout = max(settings.connection_timeout, 1)
        servers = [
            ldap3.Server(url.strip(), tls=self._tls(), connect_timeout=timeout, get_info=ldap3.NONE)
            for url in settings.url.split(",")
        ]
        # `active` is also how many times the servers are gone through (the stubs know it as a boolean only).
        several = len(servers) > 1
        pool = ldap3.ServerPool(servers, ldap3.FIRST, active=1) if several else servers[0]  # type: ignore[arg-type]
        return ldap3.Connection(
            pool,
            user=dn or None,
            password=password or None,
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            client_strategy=ldap3.SAFE_SYNC,
            raise_exceptions=True,
            read_only=True,
            receive_timeout=timeout,
            auto_referrals=settings.chase_referrals,
            check_names=False,
            auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND if settings.use_tls else ldap3.AUTO_BIND_NO_TLS,
        )

    def _tls(self) -> Any:
        import ldap3

        settings = self.settings
        return ldap3.Tls(
            validate=settings.certificate_check,
            ca_certs_file=settings.tls_cacertfile or None,
            ca_certs_path=settings.tls_cacertdir or None,
        )

    def _unavailable(self, error: Exception) -> DirectoryUnavailable:
        return DirectoryUnavailable(
            f"The directory {self.settings.url} does not serve this domain now ({type(error).__name__}). Try again; if "
            "it goes on, the operator finds the reason with `stackyard why` and the domain's id."
        )

    def _search(self, session: Connection, base: str, text: str, attributes: Iterable[str]) -> Iterator[dict[str, Any]]:
        import ldap3
        from ldap3.core.exceptions import LDAPNoSuchObjectResult

        named = base in (self.settings.user_base, self.settings.group_base)
        scope = {"one": ldap3.LEVEL, "sub": ldap3.SUBTREE}[self.settings.query_scope] if named else ldap3.BASE
        try:
            found = session.extend.standard.paged_search(
                base,
                text,
                search_scope=scope,
                attributes=[name for name in dict.fromkeys(attributes) if name and name.lower() != "dn"],
                paged_size=self.settings.page_size or _PAGE,
                generator=False,
            )
        except LDAPNoSuchObjectResult:
            return
        yield from (entry for entry in found if entry.get("type") == "searchResEntry")

    # -- users ----------------------------------------------------------------------------------------------------

    def _read_users(self, session: Connection, narrowing: str, base: str = "") -> Iterator[DirectoryUser]:
        settings = self.settings
        text = _all_of(f"(objectClass={_escape(settings.user_objectclass)})", settings.user_filter, narrowing)
        wanted = (
            settings.user_id_attribute,
            settings.user_name_attribute,
            settings.user_mail_attribute,
            settings.user_description_attribute,
            settings.user_default_project_id_attribute,
            settings.user_enabled_attribute,
        )
        enabled_dns = self._emulated(session) if settings.user_enabled_emulation else None
        for entry in self._search(session, base or settings.user_base, text, wanted):
            user = self._user(entry, enabled_dns)
            if user is not None:
                yield user

    def _user(self, entry: dict[str, Any], enabled_dns: frozenset[str] | None) -> DirectoryUser | None:
        """None for an entry without an id or a name, which Keystone passes over too."""
        settings, dn = self.settings, str(entry["dn"])
        values = _Values(entry)
        local_id, name = values.first(settings.user_id_attribute), values.first(settings.user_name_attribute)
        if not local_id or not name:
            return None
        extra = {
            shown: value
            for shown, attribute in (
                ("email", settings.user_mail_attribute),
                ("description", settings.user_description_attribute),
            )
            if (value := values.first(attribute))
        }
        if enabled_dns is not None:
            enabled = folded(dn) in enabled_dns
        else:
            enabled = self._enabled(values.first(settings.user_enabled_attribute))
        project = values.first(settings.user_default_project_id_attribute) or None
        return DirectoryUser(local_id, dn, name, enabled, extra, project)

    def _enabled(self, value: str) -> bool:
        settings = self.settings
        value = value or settings.user_enabled_default
        if settings.user_enabled_mask:
            return not int(value if value.lstrip("-").isdigit() else 0) & settings.user_enabled_mask
        return (value.lower() in _TRUE) != settings.user_enabled_invert

    def _emulated(self, session: Connection) -> frozenset[str]:
        """The DNs in the group whose members count as enabled."""
        settings = self.settings
        dn = settings.user_enabled_emulation_dn or f"cn=enabled_users,{settings.user_base}"
        members = (
            _Values(entry).all(settings.group_member_attribute)
            for entry in self._search(session, dn, "(objectClass=*)", (settings.group_member_attribute,))
        )
        return frozenset(folded(member) for found in members for member in found)

    # -- groups ---------------------------------------------------------------------------------------------------

    def _read_groups(self, session: Connection, narrowing: str) -> Iterator[DirectoryGroup]:
        settings = self.settings
        text = _all_of(f"(objectClass={_escape(settings.group_objectclass)})", settings.group_filter, narrowing)
        wanted = (
            settings.group_id_attribute,
            settings.group_name_attribute,
            settings.group_desc_attribute,
            settings.group_member_attribute,
        )
        for entry in self._search(session, settings.group_base, text, wanted):
            values = _Values(entry)
            local_id, name = values.first(settings.group_id_attribute), values.first(settings.group_name_attribute)
            if local_id and name:
                members = values.all(settings.group_member_attribute)
                kept = members if settings.group_members_are_ids else [folded(member) for member in members]
                description = values.first(settings.group_desc_attribute)
                yield DirectoryGroup(local_id, str(entry["dn"]), name, description, frozenset(kept))

    def _with_nested(self, session: Connection, group: DirectoryGroup) -> DirectoryGroup:
        """With members of members, where the directory is one that can be asked for them."""
        if not self.settings.group_ad_nesting:
            return group
        rule = _equals(f"memberOf:{MATCHING_RULE_IN_CHAIN}:", group.dn)
        members = frozenset(folded(user.dn) for user in self._read_users(session, rule))
        return DirectoryGroup(group.local_id, group.dn, group.name, group.description, members)


class _Values:
    """An entry's values as text, by attribute, whose names know no case."""

    def __init__(self, entry: dict[str, Any]) -> None:
        raw = entry.get("raw_attributes") or {}
        self._raw = {str(name).lower(): values for name, values in raw.items()}

    def all(self, attribute: str) -> list[str]:
        """Every value."""
        return [_text(attribute, value) for value in self._raw.get(attribute.lower(), ())]

    def first(self, attribute: str) -> str:
        """The first value; empty when there is none."""
        found = self.all(attribute)
        return found[0].strip() if found else ""


def _text(attribute: str, value: bytes) -> str:
    if attribute.lower() == "objectguid" and len(value) == 16:
        return str(uuid.UUID(bytes_le=value))  # [MS-DTYP] 2.3.4: how Active Directory's tools write it
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def folded(dn: str) -> str:
    """A DN as two spellings of the same one compare: case and the space around separators do not count."""
    from ldap3.core.exceptions import LDAPInvalidDnError
    from ldap3.utils.dn import parse_dn

    try:
        parts = parse_dn(dn, strip=True)
    except LDAPInvalidDnError:
        return dn.lower()
    return ",".join(f"{name.strip()}={value.strip()}" for name, value, _ in parts).lower()


def _escape(text: str) -> str:
    from ldap3.utils.conv import escape_filter_chars

    return str(escape_filter_chars(text))


def _equals(attribute: str, value: str) -> str:
    return f"({attribute}={_escape(value)})"


def _all_of(*parts: str) -> str:
    given = [part for part in parts if part]
    return given[0] if len(given) == 1 else f"(&{''.join(given)})"
