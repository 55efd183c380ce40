"""The entry point for older tools; the metadata is in pyproject.toml."""

from setuptools import setup

setup()
