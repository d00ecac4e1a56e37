"""A service's API asked from within: rules, bodies and targets hold as they do for a request."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Forbidden, NotFound
from stackyard.core.inner import Inner
from stackyard.core.routes import Trie
from stackyard.services import image, network
from stackyard.services.identity import api as identity_api


def ask(cloud: TestCloud, user: str, service: Any, *arguments: Any, **options: Any) -> Any:
    """One call in a transaction of its own."""

    def run(tx: Transaction) -> Any:
        caller = identity_api.authenticate(tx, cloud.token(user))
        return Inner(service.SERVICE, Trie(service.ROUTES), cloud.runtime, caller).ask(tx, *arguments, **options)

    return cloud.database.write("ask", run)


def test_the_answer_is_that_of_a_request(still_cloud: TestCloud) -> None:
    names = [("name", "private")]
    found = ask(still_cloud, "demo", network, "GET", "/v2.0/networks", query=names)
    assert found == still_cloud.client("demo").get("/network/v2.0/networks?name=private").json()
    listed = ask(still_cloud, "demo", image, "GET", "/v2/images")
    assert listed == still_cloud.client("demo").get("/image/v2/images").json()


def test_what_a_request_may_not_is_refused(still_cloud: TestCloud) -> None:
    with pytest.raises(NotFound):
        ask(still_cloud, "demo", network, "GET", "/v2.0/none")
    with pytest.raises(BadRequest):
        ask(still_cloud, "demo", network, "POST", "/v2.0/security-groups", body={"security_group": {"name": 5}})
    with pytest.raises(Forbidden):
        ask(still_cloud, "demo", network, "PUT", "/v2.0/quotas/x", body={"quota": {"port": 5}})


def test_what_opens_transactions_of_its_own_cannot_be_asked(still_cloud: TestCloud) -> None:
    with pytest.raises(ValueError, match="opens transactions"):
        ask(still_cloud, "demo", network, "GET", "/v2.0/security-groups")
