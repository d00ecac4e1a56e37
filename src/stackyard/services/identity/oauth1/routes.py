"""The routes of OAuth 1.0a, and who may do what, by Keystone's defaults."""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route
from stackyard.services.identity.oauth1 import access_tokens, consumers, handshake
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD

_CONSUMERS = "/v3/OS-OAUTH1/consumers"
_CONSUMER = f"{_CONSUMERS}/{{consumer_id}}"
_TOKENS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
_TOKEN = f"{_TOKENS}/{{access_token_id}}"
_BODY = {"body": dict, "schema": consumers.ConsumerBody, "envelope": "consumer"}

ROUTES = (
    Route("GET", _CONSUMERS, consumers.list_, "identity:list_consumers"),
    Route("POST", _CONSUMERS, consumers.create, "identity:create_consumer", status=201, **_BODY),
    Route("GET", _CONSUMER, consumers.show, "identity:get_consumer", target=consumers.load),
    Route("PATCH", _CONSUMER, consumers.update, "identity:update_consumer", target=consumers.load, **_BODY),
    Route("DELETE", _CONSUMER, consumers.delete, "identity:delete_consumer", target=consumers.load),
    # Who asks for these is told by the signature.
    Route("POST", "/v3/OS-OAUTH1/request_token", handshake.create_request_token, PUBLIC, edge=True),
    Route("POST", "/v3/OS-OAUTH1/access_token", handshake.create_access_token, PUBLIC, edge=True),
    Route(
        "PUT",
        "/v3/OS-OAUTH1/authorize/{request_token_id}",
        handshake.authorize,
        "identity:authorize_request_token",
        body=handshake.Authorization,
    ),
    Route("GET", _TOKENS, access_tokens.list_, "identity:list_access_tokens"),
    Route("GET", _TOKEN, access_tokens.show, "identity:get_access_token"),
    Route("DELETE", _TOKEN, access_tokens.delete, "identity:delete_access_token"),
    Route("GET", f"{_TOKEN}/roles", access_tokens.list_roles, "identity:list_access_token_roles"),
    Route("GET", f"{_TOKEN}/roles/{{role_id}}", access_tokens.show_role, "identity:get_access_token_role"),
)


def _rules(names: str, check: str, scopes: tuple[str, ...], description: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"identity:{name}", check, description, scopes) for name in names.split())


POLICIES = (
    *_rules("get_consumer list_consumers", ADMIN_OR_READER, CLOUD, "See OAuth consumers."),
    *_rules("create_consumer update_consumer delete_consumer", ADMIN, CLOUD, "Change OAuth consumers."),
    *_rules("authorize_request_token", ADMIN, ("project",), "Lend roles to an OAuth consumer."),
    *_rules(
        "list_access_tokens get_access_token list_access_token_roles get_access_token_role",
        ADMIN,
        ("project",),
        "See the OAuth access tokens that a user authorised.",
    ),
    *_rules("delete_access_token", ADMIN, ("project",), "Take an OAuth access token back."),
)
