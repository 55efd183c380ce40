"""The pages that each application has."""

import json
from types import SimpleNamespace

import pytest

from gjrpc import Registry
from gjrpc.app.builtin_pages import builtin_pages
from gjrpc.app.pages import Pages
from gjrpc.calls.dispatch import Dispatcher
from gjrpc.contracts.documents import Contracts
from gjrpc.errors import Overloaded
from gjrpc.http.messages import Head, Request
from gjrpc.http.problems import status_of


def ask(target, peer=None, guards_hosts=False):
    """The response of a page of a registry with one method."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    builtin = builtin_pages(registry, Contracts(registry, "gjrpc", "0", status_of), lambda _: guards_hosts)
    return Pages(builtin, {}).answer(Request(Head("GET", target)), peer, Dispatcher(registry))


@pytest.mark.parametrize("query", ["", "?a=1"])
def test_each_page_is_json_and_listed(query):
    """The index lists each page, itself too, and each of them is JSON, with a query or without."""
    listed = json.loads(ask("/-/" + query).body)
    assert "ping" in listed["methods"]
    assert listed["pages"] == ["/-/", "/-/healthy", "/-/openapi.json", "/-/openrpc.json", "/-/ready"]
    for page in listed["pages"]:
        response = ask(page + query)
        assert (response.status, response.headers) == (200, (("Content-Type", "application/json"),))
        assert json.loads(response.body)


def test_a_stopping_server_is_not_ready():
    """The server that received the request decides whether `/-/ready` is an error."""
    assert ask("/-/ready", SimpleNamespace(server_ready=True)).status == 200
    with pytest.raises(Overloaded, match="shutting down"):
        ask("/-/ready", SimpleNamespace(server_ready=False))


@pytest.mark.parametrize("guards_hosts", [True, False])
def test_the_document_is_that_of_the_server(guards_hosts):
    """The OpenAPI document lists 421 if the server that received the request refuses other hosts."""
    document = json.loads(ask("/-/openapi.json", guards_hosts=guards_hosts).body)
    assert ("421" in document["paths"]["/ping"]["get"]["responses"]) == guards_hosts
