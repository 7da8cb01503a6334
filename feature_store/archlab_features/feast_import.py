"""Imports Feast in half its time.

At import Feast has typeguard rewrite its classes for type checks at run time: about half of 5 seconds, of every process that
materialises. This module switches that off while Feast is imported for the first time; nothing else changes. Import what you
need of Feast after this module.
"""

from __future__ import annotations

from typing import Any

import typeguard


def _import() -> None:
    checked = typeguard.typechecked

    def unchecked(target: Any = None, **_options: Any) -> Any:
        return target if target is not None else unchecked

    typeguard.typechecked = unchecked
    try:
        import feast  # noqa: F401
    finally:
        typeguard.typechecked = checked


_import()
