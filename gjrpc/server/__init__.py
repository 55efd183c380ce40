"""The server, on gevent: connections, deadlines, TLS, draining."""
