"""Which options a domain may have, by Keystone's names, and what each is where nobody set it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackyard.core.errors import BadRequest, Forbidden

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "query_scope": "one",
        "page_size": 0,
        "alias_dereferencing": "default",
        "debug_level": None,
        "chase_referrals": None,
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "user_mail_attribute": "mail",
        "user_description_attribute": "description",
        "user_pass_attribute": "userPassword",
        "user_enabled_attribute": "enabled",
        "user_enabled_invert": False,
        "user_enabled_mask": 0,
        "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None,
        "user_enabled_emulation": False,
        "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False,
        "user_additional_attribute_mapping": [],
        "group_tree_dn": None,
        "group_filter": None,
        "group_objectclass": "groupOfNames",
        "group_id_attribute": "cn",
        "group_name_attribute": "ou",
        "group_members_are_ids": False,
        "group_member_attribute": "member",
        "group_desc_attribute": "description",
        "group_attribute_ignore": [],
        "group_additional_attribute_mapping": [],
        "group_ad_nesting": False,
        "connection_timeout": 10,
        "tls_cacertfile": None,
        "tls_cacertdir": None,
        "use_tls": False,
        "tls_req_cert": "demand",
        "use_pool": True,
        "pool_size": 10,
        "pool_retry_max": 3,
        "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600,
        "use_auth_pool": True,
        "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}
SENSITIVE = {"ldap": frozenset({"password"})}
"""Options that are stored encrypted and never shown."""

LONGEST = 4096
_MOST_ITEMS = 100


def refused(reason: str) -> Forbidden:
    """The answer to a configuration that cannot be."""
    return Forbidden(f"Invalid domain specific configuration: {reason}.")


def is_sensitive(group: str, option: str) -> bool:
    """Whether an option is a secret."""
    return option in SENSITIVE.get(group, ())


def check_names(group: str | None, option: str | None = None) -> None:
    """Raise Forbidden for a group or option that domains do not have."""
    if group is not None and group not in DEFAULTS:
        raise refused(f"Group {group[:64]} is not supported for domain specific configurations")
    if group is not None and option is not None and option not in DEFAULTS[group] and not is_sensitive(group, option):
        raise refused(f"Option {option[:64]} in group {group} is not supported for domain specific configurations")


def check(config: Mapping[str, Any]) -> None:
    """Raise Forbidden unless this is groups of options that there are, BadRequest for a value that cannot be kept."""
    if not config:
        raise refused("No options specified")
    for group, options in config.items():
        if not isinstance(options, dict) or not options:
            raise refused(f"The value of group {group[:64]} specified in the config should be a dictionary of options")
        for option, value in options.items():
            check_names(group, option)
            if not _can_be_kept(value):
                raise BadRequest(
                    f"Invalid input for {group}.{option}: it must be a text of at most {LONGEST} characters, a number, "
                    f"a boolean, null or a list of at most {_MOST_ITEMS} texts."
                )


def _can_be_kept(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= _MOST_ITEMS and all(isinstance(item, str) and len(item) <= LONGEST for item in value)
    if isinstance(value, str):
        return len(value) <= LONGEST
    return value is None or isinstance(value, bool | int | float)
