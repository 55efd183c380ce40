"""Hooks for schemathesis: what its generators make and a schema can't tell apart (`SCHEMATHESIS_HOOKS=schemathesis_hooks`)."""

import schemathesis


def integral(value):
    """A value whose numbers such as 2.0, integers to JSON Schema and floats to Python, are written as 2."""
    if isinstance(value, dict):
        return {key: integral(each) for key, each in value.items()}
    if isinstance(value, list):
        return [integral(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def map_body(context, body):
    """Write integers as integers."""
    return integral(body)
