"""OpenRPC documents: what they hold, and each thing that can be wrong with one."""

import pytest

from gjrpc.errors import SettingsError
from gjrpc.tools.openrpc_document import ContentDescriptor, Document, ErrorObject

ADD = {
    "name": "add",
    "params": [{"name": "a", "required": True, "schema": {"type": "integer"}}, {"$ref": "#/components/contentDescriptors/b"}],
    "result": {"$ref": "#/components/contentDescriptors/sum"},
    "errors": [{"$ref": "#/components/errors/tooLarge"}],
    "paramStructure": "by-name",
}
COMPONENTS = {
    "contentDescriptors": {
        "b": {"name": "b", "schema": True},
        "sum": {"$ref": "#/components/contentDescriptors/number"},
        "number": {"name": "number", "schema": {"type": "number"}},
        "circle": {"$ref": "#/components/contentDescriptors/circle"},
    },
    "errors": {"tooLarge": {"code": 7, "message": "too large", "data": [1]}},
    "schemas": {"a/b~c": {"type": "null"}, "list": [True, {"type": "string"}]},
}
INFO = {"title": "Sums", "version": "2"}
TREE = {"openrpc": "1.3.2", "info": INFO, "methods": [ADD], "components": COMPONENTS}


def method(**changed):
    """The document with another method."""
    return {**TREE, "methods": [{**ADD, **changed}]}


def test_document():
    """A document gives its methods with all references but those of schemas resolved."""
    document = Document(TREE, "here")
    (add,) = document.methods.values()
    assert document.info.title == "Sums"
    assert add.params == [ContentDescriptor("a", {"type": "integer"}, required=True), ContentDescriptor("b", True)]
    assert add.result == ContentDescriptor("number", {"type": "number"})
    assert add.errors == [ErrorObject(7, "too large")]
    assert add.param_structure == "by-name"


def test_resolve():
    """A reference is a JSON pointer, with its escapes, into objects and arrays."""
    document = Document(TREE, "here")
    assert document.resolve("#") == TREE
    assert document.resolve("#/components/schemas/a~1b~0c") == {"type": "null"}
    assert document.resolve("#/components/schemas/a~1b%7E0c") == {"type": "null"}
    assert document.resolve("#/components/schemas/list/0") is True


@pytest.mark.parametrize(
    "reference", ["", "x.json", "x.json#/info", "#info", "#/nope", "#/components/schemas/list/2", "#/openrpc/0"]
)
def test_resolve_to_nothing(reference):
    """A reference that points to nothing, or out of the document, is a LookupError that names it."""
    with pytest.raises(LookupError, match="points"):
        Document(TREE, "here").resolve(reference)


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ([], "Expected `object`, got `array`"),
        ({}, "missing required field `openrpc`"),
        ({**TREE, "openrpc": "2.0.0"}, "OpenRPC '2.0.0'; expected a version 1"),
        ({**TREE, "methods": [1]}, "Expected `object`, got `int`"),
        ({**TREE, "methods": [ADD, ADD]}, "two methods 'add'"),
        ({**TREE, "methods": [{"$ref": "#/nope"}]}, "'#/nope' points to nothing"),
        ({**TREE, "methods": [{"$ref": "#/components/schemas/list"}]}, "Expected `object`, got `array`"),
        (method(name=1), "Expected `str`, got `int` - at `$.name`"),
        (method(params=[{"name": "a"}]), "missing required field `schema`"),
        (method(params=[{"name": "a", "schema": 1}]), "got `int` - at `$.params[0].schema`"),
        (method(params=3), "Expected `array`, got `int`"),
        (method(paramStructure="any"), "Invalid enum value 'any'"),
        (method(result={"$ref": "#/components/contentDescriptors/circle"}), "points to itself"),
    ],
)
def test_no_document(tree, sentence):
    """A value that is not an OpenRPC document is a SettingsError that names the source and the fault."""
    with pytest.raises(SettingsError, match=r"^here: ") as raised:
        Document(tree, "here")
    assert sentence in str(raised.value)


def test_one_pointer_for_each_place():
    """Each spelling of a reference gives the same schema, so that the cost is bounded; an index has no leading zeros."""
    document = Document(TREE, "here")
    assert document.resolve("#/components/schemas/list") is document.resolve("#/%63omponents/schemas/%6cist")
    with pytest.raises(LookupError):
        document.resolve("#/components/schemas/list/00")
