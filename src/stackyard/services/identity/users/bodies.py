"""What clients send to make and change users and groups."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody
from stackyard.core.errors import InvalidField
from stackyard.services.identity.attributes import Identifier, Name64, Name255
from stackyard.services.identity.federation.users import FederatedList
from stackyard.services.identity.passwords import MAX_LENGTH

Password = Annotated[str, msgspec.Meta(max_length=MAX_LENGTH)]


Rule = Annotated[list[Annotated[str, msgspec.Meta(max_length=255)]], msgspec.Meta(min_length=1, max_length=16)]


class UserOptions(Body):
    """Options of a user, by Keystone's names."""

    ignore_change_password_upon_first_use: bool | UnsetType | None = UNSET
    ignore_password_expiry: bool | UnsetType | None = UNSET
    ignore_lockout_failure_attempts: bool | UnsetType | None = UNSET
    lock_password: bool | UnsetType | None = UNSET
    ignore_user_inactivity: bool | UnsetType | None = UNSET
    multi_factor_auth_enabled: bool | UnsetType | None = UNSET
    multi_factor_auth_rules: Annotated[list[Rule], msgspec.Meta(max_length=64)] | UnsetType | None = UNSET

    def check(self) -> None:
        """Raise InvalidField for rules that say something twice."""
        rules = self.multi_factor_auth_rules or []
        if any(len(set(rule)) < len(rule) or rules.count(rule) > 1 for rule in rules):
            raise InvalidField("user.options.multi_factor_auth_rules", "no rule, and no method of one, may come twice.")


class NewUser(OpenBody):
    """A user to make."""

    name: Name255
    domain_id: Identifier | UnsetType | None = UNSET
    enabled: bool = True
    default_project_id: Identifier | None = None
    password: Password | None = None
    options: UserOptions | UnsetType = UNSET
    federated: FederatedList | UnsetType = UNSET


class UserChange(OpenBody):
    """What to change of a user."""

    name: Name255 | UnsetType = UNSET
    domain_id: Identifier | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    default_project_id: Identifier | UnsetType | None = UNSET
    password: Password | UnsetType | None = UNSET
    options: UserOptions | UnsetType = UNSET
    federated: FederatedList | UnsetType = UNSET


class PasswordChange(OpenBody):
    """A user's own change of password."""

    original_password: str
    password: Password


class NewGroup(OpenBody):
    """A group to make."""

    name: Name64
    domain_id: Identifier | UnsetType | None = UNSET
    description: str | None = None


class GroupChange(OpenBody):
    """What to change of a group."""

    name: Name64 | UnsetType = UNSET
    domain_id: Identifier | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
