"""For all tests: where `benchmarks` is found.

The benchmarks are no installed package: they are found from the root of the checkout, as `python -m` finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
