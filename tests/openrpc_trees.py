"""OpenRPC documents for tests, as the values that JSON makes of them."""

INTEGER, NUMBER, STRING = ({"type": kind} for kind in ("integer", "number", "string"))


def parameter(name, schema=INTEGER, **more):
    """A parameter, required by default."""
    return {"name": name, "schema": schema, "required": True, **more}


def optional(name, schema=INTEGER, **more):
    """A parameter that may be left out."""
    return parameter(name, schema, required=False, **more)


def method(*params, name="add", result=INTEGER, **more):
    """A method; without a result if that is None."""
    described = {} if result is None else {"result": {"name": "result", "schema": result}}
    return {"name": name, "params": list(params), **described, **more}


def tree(*methods, components=None, version="1"):
    """A document with these methods."""
    info = {"title": "Test", "version": version}
    return {"openrpc": "1.3.2", "info": info, "methods": list(methods), "components": {"schemas": components or {}}}


def chained(count, leaf, link=lambda reference: reference):
    """Named schemas of which each leads to the next, and the last is `leaf`."""
    links = {f"S{number}": link({"$ref": f"#/components/schemas/S{number + 1}"}) for number in range(count)}
    return {**links, f"S{count}": leaf}


def nested(levels, leaf):
    """A schema of arrays in arrays."""
    for _ in range(levels):
        leaf = {"type": "array", "items": leaf}
    return leaf


ROOT = {"$ref": "#/components/schemas/S0"}
