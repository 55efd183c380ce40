"""What lies under `/-/`."""

import json

import pytest

from gjrpc import Registry
from gjrpc.app.pages import Pages
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import MethodNotFound, Overloaded
from gjrpc.http.problems import status_of


def pages(ready=True):
    """The pages of a registry with one method."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    contracts = Contracts(registry, "gjrpc", "0", status_of, guards_hosts=lambda: False)
    return Pages(registry, contracts, ready=lambda: ready)


@pytest.mark.parametrize("query", ["", "?a=1"])
def test_each_page_is_json_and_listed(query):
    """The index lists each page, itself too, and each of them is JSON, with a query or without."""
    listed = json.loads(pages().answer("/-/" + query).body)
    assert "ping" in listed["methods"]
    for page in listed["pages"]:
        response = pages().answer(page + query)
        assert (response.status, response.headers) == (200, (("Content-Type", "application/json"),))
        assert json.loads(response.body)


def test_a_page_that_is_not_there():
    """Another page is not found, and the pages that there are are named; what was asked is shown cut."""
    with pytest.raises(MethodNotFound, match=r"no page '/-/x+…'; there are /-/, /-/healthy,"):
        pages().answer("/-/" + "x" * 1000)


def test_who_is_not_ready_says_so():
    """Where no new calls are welcome, the page that tells is an error."""
    with pytest.raises(Overloaded, match="shutting down"):
        pages(ready=False).answer("/-/ready")
