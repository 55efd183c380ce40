"""The hints for options of other programs."""

import re

import pytest

from gjrpc.commands import settings
from gjrpc.commands.foreign_options import HINTS

OPTIONS = {name for option in settings.options() for name in option.opts}


@pytest.mark.parametrize("name", HINTS)
def test_a_hint_names_options_that_exist(name):
    """A hint is for an option that does not exist, and those that it names do."""
    assert name not in OPTIONS
    assert set(re.findall(r"--[a-z-]+", HINTS[name])) <= OPTIONS
