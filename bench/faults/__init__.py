"""Faults and endurance: what hostile, slow, malformed and too many clients do to a server, and what a stop does to its clients.

Each module starts `python -m gjrpc.serve` in a separate process on loopback, and compares its measurements with the bounds in its
table: `python -m bench.faults.slow` and so on. `--quick` is a small form of a few seconds, for CI. `rig` has what they share.
"""
