"""The version, in the one place that the package, `--version` and the metadata read."""

__version__ = "0.1.0"
