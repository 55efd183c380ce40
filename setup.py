"""The entry that older tools call; the metadata stands in pyproject.toml."""

from setuptools import setup

setup()
