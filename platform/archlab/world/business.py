"""Finds a scenario's business by name: cards, requests, outcomes."""

from __future__ import annotations

import importlib
import re

from archlab.errors import SpecError
from archlab.spec.business import Business


def load(name: str) -> Business:
    """`archlab_scenarios.NAME.business.BUSINESS`.

    Raises:
        SpecError: there is no such business.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SpecError(f"{name!r} is no name of a business.")
    try:
        found: Business = importlib.import_module(f"archlab_scenarios.{name}.business").BUSINESS
    except ModuleNotFoundError as error:
        raise SpecError(f"The scenario's business {name!r} can't be found: {error}.") from None
    return found
