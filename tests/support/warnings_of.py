"""What a cluster's admission policies would say about an object: the warnings of a server-side dry run."""

from __future__ import annotations

import re
from typing import Any

from kubernetes import client, config

PLURALS = {
    "Pod": "pods",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets",
    "Job": "jobs",
    "CronJob": "cronjobs",
}
_WARNING = re.compile(r"^299 - \"Validation failed for ValidatingAdmissionPolicy '[^']*' with binding '[^']*': (.*)\"$")


class Warnings:
    """Dry runs in a namespace whose policies warn instead of refusing."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._api: client.ApiClient = config.new_client_from_config()

    def of(self, document: dict[str, Any]) -> set[str]:
        """Every policy's sentence."""
        version, kind = document["apiVersion"], document["kind"]
        root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
        request = self._api.param_serialize(
            "POST",
            f"{root}/namespaces/{self._namespace}/{PLURALS[kind]}",
            header_params={"Content-Type": "application/json", "Accept": "application/json"},
            query_params=[("dryRun", "All")],
            body=document,
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request)
        assert answer.status == 201, answer.read()
        found = (_WARNING.match(line) for line in answer.headers.getlist("Warning"))
        return {match[1] for match in found if match}
