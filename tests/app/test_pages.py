"""What lies under `/-/`."""

import json
from types import SimpleNamespace

import pytest

from gjrpc import Registry
from gjrpc.app.pages import Pages
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import MethodNotFound, Overloaded
from gjrpc.http.problems import status_of


def pages():
    """The pages of a registry with one method."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    contracts = Contracts(registry, "gjrpc", "0", status_of)
    return Pages(registry, contracts, lambda peer: False)


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


def test_a_stopping_server_is_not_ready():
    """The server that received the request decides whether `/-/ready` is an error."""
    assert pages().answer("/-/ready", SimpleNamespace(server_ready=True)).status == 200
    with pytest.raises(Overloaded, match="shutting down"):
        pages().answer("/-/ready", SimpleNamespace(server_ready=False))
