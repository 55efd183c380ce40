"""The Python client, which calls a server's methods over HTTP."""
