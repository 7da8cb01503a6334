"""For all tests: where `benchmarks` is found, that no property is given a time, and nothing depends on who starts them.

The benchmarks are no installed package: they are found from the root of the checkout, as `python -m` finds them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

# a busy machine is no counterexample
settings.register_profile("archlab", deadline=None)
settings.load_profile("archlab")

# how wide a terminal is and whether it has colours is each test's own to say
for name in (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS"),
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE", "ARCHLAB_LAB", "ARCHLAB_LAB_NAME", "ARCHLAB_SCENARIOS"),
):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Commands that a test starts can be interrupted, also where the tests run in the background and ignore ^C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
