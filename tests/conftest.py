"""For all tests: where `benchmarks` is found, and that no property is given a time.

The benchmarks are no installed package: they are found from the root of the checkout, as `python -m` finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

# a busy machine is no counterexample
settings.register_profile("archlab", deadline=None)
settings.load_profile("archlab")
