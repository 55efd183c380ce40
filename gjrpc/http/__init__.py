"""HTTP/1.1 without sockets: parses bytes into requests and writes responses as bytes."""
