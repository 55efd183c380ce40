"""The server, built on gevent: sockets, TLS, connections, timeouts, limits under load, stopping."""
