"""The route table and the trie that finds a path's route."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import MethodNotAllowed, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route, Service, Trie

words = st.text("abcdefghij", min_size=1, max_size=4)


def nothing(*_: object) -> None:
    """An operation that does nothing."""


def route(method: str, path: str, **options: object) -> Route:
    return Route(method, path, nothing, PUBLIC, **options)


def test_words_go_before_parameters() -> None:
    trie = Trie([route("GET", "/images/{id}"), route("GET", "/images/detail"), route("GET", "/images/{id}/file")])
    assert trie.find("GET", "/images/detail", None)[0].path == "/images/detail"
    assert trie.find("GET", "/images/x", None) == (trie.find("GET", "/images/x", None)[0], {"id": "x"})
    assert trie.find("GET", "/images/detail/file", None)[1] == {"id": "detail"}


def test_a_tail_takes_the_rest_with_its_slashes() -> None:
    trie = Trie([route("PUT", "/{account}/{container}/{object*}")])
    assert trie.find("PUT", "/a/c/x/y/z", None)[1] == {"account": "a", "container": "c", "object": "x/y/z"}


def test_a_path_of_words_alone_is_found_like_any_other() -> None:
    trie = Trie([route("GET", "/a/b"), route("POST", "/a/{id}"), route("GET", "/{id}/c/d"), route("GET", "/")])
    for path in ("/a/b", "/a/b/", "//a//b"):
        assert trie.find("GET", path, None)[0].path == "/a/b"
        assert trie.find("GET", path, None)[1] == {}
        with pytest.raises(MethodNotAllowed):  # the words have been found, and have no such method
            trie.find("POST", path, None)
    assert trie.find("GET", "/a/c/d", None)[1] == {"id": "a"}
    assert trie.find("GET", "/", None)[0].path == trie.find("GET", "", None)[0].path == "/"


def test_trailing_and_doubled_slashes_are_tolerated() -> None:
    trie = Trie([route("GET", "/v1/containers")])
    assert trie.find("GET", "/v1/containers/", None)[0].path == "/v1/containers"


def test_unknown_path_and_method() -> None:
    trie = Trie([route("GET", "/a"), route("POST", "/a")])
    with pytest.raises(NotFound):
        trie.find("GET", "/b", None)
    with pytest.raises(MethodNotAllowed) as caught:
        trie.find("DELETE", "/a", None)
    assert caught.value.headers == {"Allow": "GET, POST"}


def test_methods_may_be_hidden() -> None:
    trie = Trie([route("GET", "/a")], hides_methods=True)
    assert trie.find("HEAD", "/a", None)[0].method == "GET"
    with pytest.raises(NotFound):
        trie.find("DELETE", "/a", None)


def test_head_is_served_by_get() -> None:
    assert Trie([route("GET", "/a")]).find("HEAD", "/a", None)[0].method == "GET"


def test_microversions_choose_among_routes_of_one_path() -> None:
    old = route("POST", "/x", until=Microversion(1, 19))
    new = route("POST", "/x", since=Microversion(1, 20))
    trie = Trie([old, new])
    assert trie.find("POST", "/x", Microversion(1, 1))[0] is old
    assert trie.find("POST", "/x", Microversion(1, 20))[0] is new


def test_a_route_outside_its_microversions_is_not_found() -> None:
    trie = Trie([route("POST", "/x", since=Microversion(1, 20))])
    with pytest.raises(NotFound):
        trie.find("POST", "/x", Microversion(1, 19))


def test_two_routes_for_one_call_are_refused() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Trie([route("GET", "/x/{a}"), route("GET", "/x/{b}")])


def test_a_route_without_a_declared_rule_is_refused() -> None:
    service = Service(
        type="t",
        name="n",
        mount="/t",
        classic_port=1,
        routes=[Route("GET", "/x", nothing, "get_x")],
        policies=[Rule("get_y", "@", "")],
        fault=lambda _error, _request: {},
    )
    with pytest.raises(ValueError, match="get_x"):
        service.trie()


@given(st.sets(st.lists(words, min_size=1, max_size=4).map(tuple), min_size=1, max_size=20))
def test_every_route_of_a_table_is_found_by_its_own_path(paths: set[tuple[str, ...]]) -> None:
    routes = [route("GET", "/" + "/".join(path)) for path in paths]
    trie = Trie(routes)
    for one in routes:
        assert trie.find("GET", one.path, None) == (one, {})
