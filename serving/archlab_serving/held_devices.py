"""Which devices a pod holds: the kubelet chooses them, the device plugin tells by environment variables.

A devices document for pods names with each device its `resource`; the device that the pod holds of it takes the
planned one's place.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import orjson

logger = logging.getLogger("archlab_serving")

PREFIX = "ARCHLAB_DEVICE_"


def in_place(document: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The document with the devices that are held; one without resources is left as it is.

    A model whose device is not held is left out, and so computed on the CPU: a pod that was started before its unit
    had devices holds none.

    Args:
        document: of format `archlab/serving-devices/v1`.
        environment: the process's.

    Raises:
        ValueError, KeyError, TypeError: the plugin's variable is not what it should be.
    """
    names: dict[str, str] = {}
    devices: list[dict[str, Any]] = []
    left: dict[str, list[dict[str, Any]]] = {}
    lacking: set[str] = set()
    for planned in document["devices"]:
        found = planned
        if resource := planned.get("resource", ""):
            held = left.setdefault(resource, of_resource(resource, environment))
            if not held:
                lacking.add(planned["name"])
                logger.warning("this pod holds no %s for %s: its models stay on the CPU", resource, planned["name"])
                continue
            found = held.pop(0)
        names[planned["name"]] = found["name"]
        devices.append({**planned, **{key: found[key] for key in planned if key in found}})
    models = {
        model: {**entry, "device": names[entry["device"]]}
        for model, entry in document["models"].items()
        if entry["device"] not in lacking
    }
    return {**document, "devices": devices, "models": models}


def of_resource(resource: str, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the plugin says of the devices that are held of a resource, in its order; none without its variable."""
    variable = f"{PREFIX}{re.sub('[^A-Z0-9]+', '_', resource.upper())}_INFO"
    found: list[dict[str, Any]] = orjson.loads(environment.get(variable) or "[]")
    return found
