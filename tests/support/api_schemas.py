"""JSON schemas of a cluster's kinds, from the OpenAPI documents that its API server serves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab_pods import kubectl

LOCATION = "{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json"
"""Names of the files, as kubeconform's `-schema-location` writes them."""
GVK = "x-kubernetes-group-version-kind"


def write(folder: Path, versions: Iterable[str]) -> Path:
    """A file for every kind of these API versions (`v1`, `apps/v1`); the location for kubeconform."""
    served = json.loads(kubectl("get", "--raw", "/openapi/v3", namespace="default"))["paths"]
    for version in versions:
        address = served[f"apis/{version}" if "/" in version else f"api/{version}"]["serverRelativeURL"]
        document = json.loads(kubectl("get", "--raw", address, namespace="default"))
        for name, schema in document["components"]["schemas"].items():
            for kind in schema.get(GVK, ()):
                made = {"$ref": f"#/components/schemas/{name}", "components": _strict(document["components"])}
                group = kind["group"] or kind["version"]  # kubeconform has no name for the group of `v1`
                file = f"{kind['kind']}-{group}-{kind['version']}.json".lower()
                (folder / file).write_text(json.dumps(made))
    return folder / LOCATION


def _strict(schema: Any) -> Any:
    """What has named fields has no others, unless it says so."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(part) for name, part in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made
