"""This node in the Kubernetes API: the label that says `emulated`, and the annotation that makes devices unhealthy.

A patch and a watch with the standard library: the Kubernetes client would be larger than everything else here.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

log = logging.getLogger("archlab_device_plugin")

LABEL = "archlab.dev/device-basis"
ANNOTATION = "archlab.dev/unhealthy-devices"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_S = 10.0
WATCH_S = 240
AGAIN_S = 2.0


class ApiError(RuntimeError):
    """The API server does not answer, or refuses."""


class Node:
    """One node, through the API server that the pod's service account knows.

    Args:
        name: the node's.
        connect: makes a connection; called with its timeout in seconds.
        token: returns the bearer token; it is renewed on disk, so it is read for every request.
    """

    def __init__(
        self, name: str, connect: Callable[[float], http.client.HTTPConnection], token: Callable[[], str]
    ) -> None:
        self.name = name
        self._connect = connect
        self._token = token

    @classmethod
    def in_cluster(cls, name: str) -> Node:
        """The node as a pod reaches it (kubernetes.io, Accessing the Kubernetes API from a Pod)."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        return cls(
            name,
            lambda timeout: http.client.HTTPSConnection(host, port, timeout=timeout, context=context),
            lambda: (ACCOUNT / "token").read_text().strip(),
        )

    def label(self, value: str | None) -> None:
        """Set the label, or remove it with None.

        Raises:
            ApiError: the API server does not answer, or refuses.
        """
        body = json.dumps({"metadata": {"labels": {LABEL: value}}})
        connection = self._connect(TIMEOUT_S)
        try:
            self._request(connection, "PATCH", f"/api/v1/nodes/{quote(self.name)}", body).read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"the API server does not answer: {error!r}") from None
        finally:
            connection.close()

    def follow(self, on_change: Callable[[str], None], stopping: threading.Event, *, again_s: float = AGAIN_S) -> None:
        """Call with the annotation's value, at once and whenever the node changes, until asked to stop.

        While the API server is away the last value stands; it is asked again every `again_s` seconds.
        """
        while not stopping.is_set():
            try:
                self._watch(on_change)
            except (ApiError, OSError, ValueError, http.client.HTTPException) as error:
                log.warning("node %s can't be watched, trying again: %s", self.name, error)
            stopping.wait(again_s)

    def _watch(self, on_change: Callable[[str], None]) -> None:
        selector = quote(f"metadata.name={self.name}")
        path = f"/api/v1/nodes?watch=true&fieldSelector={selector}&timeoutSeconds={WATCH_S}"
        connection = self._connect(WATCH_S + TIMEOUT_S)
        try:
            answer = self._request(connection, "GET", path)
            while line := answer.readline():
                event: dict[str, Any] = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    annotations = event["object"]["metadata"].get("annotations") or {}
                    on_change(annotations.get(ANNOTATION, ""))
                elif event["type"] == "ERROR":
                    raise ApiError(str(event["object"].get("message")))
        finally:
            connection.close()

    def _request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/merge-patch+json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ApiError(f"{method} node {self.name}: {answer.status} {answer.read(500).decode(errors='replace')}")
        return answer
