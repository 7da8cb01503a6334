"""What pods ask of the Kubernetes API: which pods answer for a service; control also how many a Deployment should have.

A lab's pods are in one namespace, and those of a team with servers of its own in `<namespace>-<team>`.
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

from archlab.errors import RefusedError, UnavailableError
from archlab.spec.access import PLATFORM_TEAM

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


def _host() -> str:
    return os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")


def _port() -> int:
    return int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))


@dataclass(slots=True)
class EndpointSlices:
    """The EndpointSlices of one of the lab's namespaces (discovery.k8s.io/v1).

    Every method raises UnavailableError when the API does not answer, and RefusedError when it refuses: a team's
    namespace is not there yet, or no longer.
    """

    team: str = PLATFORM_TEAM
    """Whose namespace; the platform's is the pod's own."""
    account: Path = ACCOUNT
    host: str = field(default_factory=_host)
    port: int = field(default_factory=_port)

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
        connection = _connection(self.account, self.host, self.port, timeout_s)
        path = f"/apis/discovery.k8s.io/v1/namespaces/{_namespace(self.account, self.team)}/endpointslices"
        connection.request("GET", f"{path}?{urlencode(query)}", headers=_headers(self.account))
        return connection


@dataclass(slots=True)
class Deployments:
    """The `scale` subresource of Deployments of the lab's namespaces (apps/v1).

    Every method raises UnavailableError when the API does not answer, or refuses.
    """

    account: Path = ACCOUNT
    host: str = field(default_factory=_host)
    port: int = field(default_factory=_port)

    def replicas(self, name: str, team: str) -> int:
        """How many a team's Deployment should have."""
        return int(self._scale("GET", name, team, None)["spec"].get("replicas", 0))

    def set_replicas(self, name: str, team: str, count: int) -> None:
        """Let it have so many."""
        self._scale("PATCH", name, team, {"spec": {"replicas": count}})

    def _scale(self, method: str, name: str, team: str, body: Any) -> dict[str, Any]:
        connection = _connection(self.account, self.host, self.port, TIMEOUT_S)
        path = f"/apis/apps/v1/namespaces/{_namespace(self.account, team)}/deployments/{name}/scale"
        headers = {**_headers(self.account), "Content-Type": "application/merge-patch+json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(f"The Kubernetes API does not answer: {error}.") from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise UnavailableError(f"The Kubernetes API does not scale {name}: {found.get('message', answer.status)}")
        return found


def _connection(account: Path, host: str, port: int, timeout_s: float) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _namespace(account: Path, team: str) -> str:
    own = (account / "namespace").read_text().strip()
    return own if team == PLATFORM_TEAM else f"{own}-{team}"


def _headers(account: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {(account / 'token').read_text().strip()}"}


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
            kind = RefusedError if answer.status in (403, 404) else UnavailableError
            whose = self.slices.team
            raise kind(f"The Kubernetes API answers {answer.status} to a list of endpoint slices of {whose}.")
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
