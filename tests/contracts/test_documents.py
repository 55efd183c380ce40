"""When the documents are written."""

import json

from gjrpc.calls.registry import Registry
from gjrpc.contracts.documents import Contracts
from gjrpc.http.problems import status_of


def test_documents_are_kept_until_a_method_is_added():
    """The same document is given again, and a new one once there is a new method."""
    registry = Registry()
    contracts = Contracts(registry, "title", "7", status_of, guards_hosts=lambda: False)
    for give in (contracts.openrpc, contracts.openapi):
        assert give() is give()
        assert json.loads(bytes(give()))["info"] == {"title": "title", "version": "7"}
    registry.register(lambda: 1, "one")
    assert "one" in [method["name"] for method in json.loads(bytes(contracts.openrpc()))["methods"]]
    assert "/one" in json.loads(bytes(contracts.openapi()))["paths"]
