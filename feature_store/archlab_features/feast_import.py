"""Feast, imported in half its time.

At import Feast has typeguard rewrite its classes for type checks at run time: about half of the seconds that it takes,
in every process that materialises. That is switched off while Feast is imported here for the first time; nothing else
changes. Take what you need of Feast from this module.
"""

from __future__ import annotations

import importlib
from typing import Any

import typeguard


def _import() -> Any:
    checked = typeguard.typechecked

    def unchecked(target: Any = None, **_options: Any) -> Any:
        return target if target is not None else unchecked

    typeguard.typechecked = unchecked
    try:
        return importlib.import_module("feast")
    finally:
        typeguard.typechecked = checked


feast = _import()

_keys: Any = importlib.import_module("feast.infra.key_encoding_utils")
serialize_entity_key = _keys.serialize_entity_key
deserialize_entity_key = _keys.deserialize_entity_key
EntityKey: Any = importlib.import_module("feast.protos.feast.types.EntityKey_pb2").EntityKey
Value: Any = importlib.import_module("feast.protos.feast.types.Value_pb2").Value
Float64: Any = importlib.import_module("feast.types").Float64
