"""Which pods answer for a service, asked of the Kubernetes API by a pod that may read EndpointSlices and nothing else.

The API's own objects and the service account's files are all it takes; the client library (126 MB) stays out of pods.
DNS would not do: resolvers keep answers for seconds, and a replica that is gone must get no request.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from archlab.errors import UnavailableError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVICE = "kubernetes.io/service-name"
TIMEOUT_S = 10.0
WATCH_S = 240


class Pod(NamedTuple):
    """One ready pod of a service."""

    name: str
    host: str


Services = Mapping[str, tuple[Pod, ...]]
"""Ready pods, by service."""


@dataclass(slots=True)
class EndpointSlices:
    """The EndpointSlices of the pod's own namespace (discovery.k8s.io/v1).

    Every method raises UnavailableError when the API does not answer.
    """

    account: Path = ACCOUNT
    host: str = field(default_factory=lambda: os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"))
    port: int = field(default_factory=lambda: int(os.environ.get("KUBERNETES_SERVICE_PORT", "443")))

    def services(self) -> tuple[Services, str]:
        """Ready pods by service, and the version from which a watch goes on."""
        with _Answer(self, {}) as answer:
            listed = json.loads(answer.read())
        return ready_pods(listed["items"]), str(listed["metadata"]["resourceVersion"])

    def changes(self, version: str) -> Iterator[None]:
        """One item whenever something changed since `version`; ends when the server ends the watch."""
        wanted = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_S)}
        with _Answer(self, wanted, WATCH_S + TIMEOUT_S) as answer:
            while answer.readline():
                yield None

    def _open(self, query: Mapping[str, str], timeout_s: float) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=context)
        namespace = (self.account / "namespace").read_text().strip()
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        headers = {"Authorization": f"Bearer {(self.account / 'token').read_text().strip()}"}
        connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
        return connection


@dataclass(slots=True)
class _Answer:
    """The answer to one request, as a context."""

    slices: EndpointSlices
    query: Mapping[str, str]
    timeout_s: float = TIMEOUT_S
    _connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> http.client.HTTPResponse:
        try:
            self._connection = self.slices._open(self.query, self.timeout_s)
            answer = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"The Kubernetes API does not answer: {error}.") from None
        if answer.status != http.HTTPStatus.OK:
            raise UnavailableError(f"The Kubernetes API answers {answer.status} to a list of endpoint slices.")
        return answer

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._connection is not None:
            self._connection.close()
        if isinstance(error, OSError | http.client.HTTPException | ValueError | KeyError):
            raise UnavailableError(f"The Kubernetes API's answer broke off: {error}.") from None


def ready_pods(slices: list[dict[str, Any]]) -> Services:
    """Pods that get requests, by service; each once, in the order of their names. Pure."""
    found: dict[str, dict[str, Pod]] = {}
    for entry in slices:
        service = entry["metadata"].get("labels", {}).get(SERVICE, "")
        pods = found.setdefault(service, {})
        for endpoint in entry.get("endpoints") or ():
            # absent means ready (discovery.k8s.io/v1, EndpointConditions); a pod that is stopping is not
            if endpoint.get("conditions", {}).get("ready", True) and endpoint.get("addresses"):
                host = endpoint["addresses"][0]
                pods[host] = Pod(endpoint.get("targetRef", {}).get("name", host), host)
    return {service: tuple(sorted(pods.values())) for service, pods in found.items()}
