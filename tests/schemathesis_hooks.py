"""Hooks for schemathesis (`SCHEMATHESIS_HOOKS=schemathesis_hooks`): its generators write integers also as 2.0."""

import schemathesis


def integral(value):
    """Return a value with 2.0, an integer in JSON Schema and a float in Python, written as 2."""
    if isinstance(value, dict):
        return {key: integral(each) for key, each in value.items()}
    if isinstance(value, list):
        return [integral(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def map_body(context, body):
    """Write integers as integers."""
    return integral(body)
