"""The Kubernetes API as plain JSON, with the kubeconfig's identity; its failures as errors of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from archlab.errors import ArchlabError, ConflictError, LabStateError, NotFoundError, RefusedError, UserError
from archlab.spec.lab import KubePlace

Object = dict[str, Any]
TIMEOUT_S = 30.0
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MANAGER = "archlab"


class Api:
    """Calls to the cluster of a kubeconfig's context.

    Every method raises RefusedError, NotFoundError, ConflictError or ArchlabError as the API answers, and LabStateError
    when it does not answer.

    Raises:
        UserError: the client library is not installed, or the kubeconfig can't be read.
    """

    def __init__(self, place: KubePlace) -> None:
        self.namespace = place.namespace
        self._client = _client(place)

    def get(self, path: str, **query: str) -> Object:
        """GET; the object."""
        return self._json("GET", path, query=query)

    def items(self, path: str, **query: str) -> list[Object]:
        """GET a list; its items."""
        found: list[Object] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        """POST."""
        return self._json("POST", path, body)

    def ask(self, path: str, body: Object, headers: Mapping[str, str], timeout_s: float) -> Object:
        """POST to a service that the API server is only the way to, with headers of its own."""
        found: Object = json.loads(self._send("POST", path, body, {}, "", timeout_s, headers).data)
        return found

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply: make the object what `body` says of it."""
        query = {"fieldManager": MANAGER, "force": "true"}
        return self._json("PATCH", path, body, query, APPLY_PATCH)

    def patch(self, path: str, body: Object) -> Object:
        """Merge patch."""
        return self._json("PATCH", path, body, {}, MERGE_PATCH)

    def delete(self, path: str, **query: str) -> None:
        """DELETE; nothing there is fine. Dependents go in the background unless told otherwise."""
        try:
            self._json("DELETE", path, query={"propagationPolicy": "Background", **query})
        except NotFoundError:
            return

    def text(self, path: str, **query: str) -> str:
        """GET; the body as text."""
        data: bytes = self._send("GET", path, None, query, "").data
        return data.decode(errors="replace")

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """GET; the body line by line as it comes, until the server ends it."""
        answer = self._send("GET", path, None, query, "", timeout_s=None)
        rest = b""
        try:
            for piece in answer.stream(amt=None):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
        finally:
            answer.release_conn()
        if rest:
            yield rest.decode(errors="replace")

    def inside(self, kind: str, name: str = "", *, group: str = "", namespace: str = "") -> str:
        """Path of a kind, or of one object; in the lab's namespace and of the core kinds unless others are named."""
        base = f"/apis/{group}" if group else "/api/v1"
        return f"{base}/namespaces/{namespace or self.namespace}/{kind}" + (f"/{name}" if name else "")

    def exists(self, path: str) -> bool:
        """Whether GET finds something."""
        try:
            self.get(path)
        except NotFoundError:
            return False
        return True

    def _json(
        self, method: str, path: str, body: Object | None = None, query: Mapping[str, str] | None = None, kind: str = ""
    ) -> Object:
        found: Object = json.loads(self._send(method, path, body, query or {}, kind).data)
        return found

    def _send(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: Mapping[str, str],
        content_type: str,
        timeout_s: float | None = TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return self._client.request(
                method,
                path,
                body=body,
                query_params=list(query.items()),
                content_type=content_type or None,
                header_params=dict(headers or {}),
                serialize=False,
                _request_timeout=timeout_s,
            )
        except ApiException as error:
            raise _failure(int(error.status or 0), str(error.body or error.reason)) from None
        except (HTTPError, OSError) as error:
            raise LabStateError(
                f"The cluster does not answer: {getattr(error, 'reason', None) or error}.",
                "Check the kubeconfig and that the cluster runs: kubectl get nodes",
            ) from None


def _client(place: KubePlace) -> Any:
    try:
        from kubernetes import client, config
        from kubernetes.client import ApiException
        from kubernetes.dynamic import DynamicClient
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise UserError(
            "The kube target needs the Kubernetes client library.", "Install it: pip install 'archlab[kube]'"
        ) from None
    settings = client.Configuration()
    try:
        config.load_kube_config(place.kubeconfig, place.context or None, settings)
    except (config.ConfigException, OSError) as error:
        raise UserError(
            f"The kubeconfig can't be used: {error}", "Set KUBECONFIG, or name a context: archlab up --context NAME"
        ) from None
    settings.retries = 1
    try:
        return DynamicClient(client.ApiClient(settings))
    except ApiException as error:
        raise _failure(int(error.status or 0), str(error.body or error.reason)) from None
    except (HTTPError, OSError) as error:
        raise LabStateError(
            f"The cluster of {place.kubeconfig} does not answer: {getattr(error, 'reason', None) or error}.",
            "Check that it runs: kubectl get nodes",
        ) from None


def kubeconfig() -> str:
    """The file that KUBECONFIG names, or the usual one.

    Raises:
        UserError: there is none.
    """
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = os.path.expanduser(named or "~/.kube/config")  # noqa: PTH111 kept as text in lab.json
    if not os.path.isfile(path):  # noqa: PTH113
        raise UserError(
            f"There is no kubeconfig at {path}.",
            "Start a cluster (kind create cluster, minikube start) or set KUBECONFIG.",
        )
    return os.path.abspath(path)  # noqa: PTH100


def _failure(status: int, body: str) -> ArchlabError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:300]
    kinds: dict[int, type[ArchlabError]] = {
        401: RefusedError,
        403: RefusedError,
        404: NotFoundError,
        409: ConflictError,
    }
    return kinds.get(status, ArchlabError)(f"Kubernetes: {message}", "See: archlab status" if status >= 500 else "")
