"""HTTP/1.1 without a socket: bytes to requests, responses to bytes."""
