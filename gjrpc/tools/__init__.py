"""Reads contracts that someone else published, compares them, and writes stubs from them."""
