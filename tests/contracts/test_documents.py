"""When the documents are written."""

import json
from functools import partial

from gjrpc.calls.registry import Registry
from gjrpc.contracts.documents import Contracts
from gjrpc.http.problems import status_of


def test_documents_are_kept_until_a_method_is_added():
    """The same document is returned again until a method is added."""
    registry = Registry()
    contracts = Contracts(registry, "title", "7", status_of)
    for give in (contracts.openrpc, partial(contracts.openapi, False), partial(contracts.openapi, True)):
        assert give() is give()
        assert json.loads(bytes(give()))["info"] == {"title": "title", "version": "7"}
    registry.register(lambda: 1, "one")
    assert "one" in [method["name"] for method in json.loads(bytes(contracts.openrpc()))["methods"]]
    assert "/one" in json.loads(bytes(contracts.openapi(False)))["paths"]


def test_the_document_says_whether_a_host_can_be_refused():
    """The same application has a document with 421 for a server that refuses other hosts, and one without for any other."""
    registry = Registry()
    registry.register(lambda: 1, "one")
    contracts = Contracts(registry, "title", "7", status_of)
    for refuses in (True, False, True):
        assert ("421" in json.loads(bytes(contracts.openapi(refuses)))["paths"]["/one"]["get"]["responses"]) == refuses
