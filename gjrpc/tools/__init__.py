"""Tools for other servers' OpenRPC documents: fetch them, compare them, write typed stubs from them."""
