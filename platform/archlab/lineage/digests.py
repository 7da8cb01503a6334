"""The digest that binds a version to its sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def data_digest(sources: Mapping[str, str], reader: str, views: str) -> str:
    """What `archlab.data_digest` is: over the digests of the source files, of their reader, and of the views' code.

    Promotion's evidence carries it, so that the decision log, which is anchored, names the very sources.
    """
    named = {"reader": reader, "sources": dict(sources), "views": views}
    return hashlib.sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
