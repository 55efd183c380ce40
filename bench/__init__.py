"""Measurements that anyone can repeat; each module says how to run it and what it measures."""
