"""The front door of a lab on a cluster, as it is seen from outside: whether it answers, and control behind it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from archlab import identity
from archlab.errors import RefusedError, TargetError, UnavailableError
from archlab.settings import LabFolder
from archlab.spec.plan import Progress
from archlab.targets.kube.api import Api

ANSWER_S = 20.0
_PAUSE_S = 0.2


def confirm(gateway: str, progress: Progress) -> None:
    """Wait until control answers through the gateway.

    Raises:
        TargetError: nothing answers where the gateway should be.
    """
    deadline, said = time.monotonic() + ANSWER_S, ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{gateway}/healthz", timeout=3) as answer:  # noqa: S310
                answer.read()
        except (urllib.error.URLError, HTTPException, OSError) as error:
            said = str(getattr(error, "reason", error))
            time.sleep(_PAUSE_S)
        else:
            progress("start", f"all pods answer behind {gateway}")
            return
    raise TargetError(
        f"All pods are ready, but nothing answers at {gateway} ({said}).",
        "A node's address may be out of reach: map a node port to this machine (kind: extraPortMappings), and say "
        "so: archlab up --gateway http://127.0.0.1:PORT",
        unit="gateway",
    )


def address(api: Api, service: str) -> str:
    """Base URL of a service of the namespace: a node's address and the service's port on it.

    Raises:
        TargetError: the service has no node port.
    """
    port = api.get(api.inside("services", service))["spec"]["ports"][0].get("nodePort")
    if port is None:
        raise TargetError(
            f"The service {service} has no node port.", "Say where it answers: --gateway URL", unit=service
        )
    nodes = api.items("/api/v1/nodes")
    addresses = [a for node in nodes for a in node["status"].get("addresses", ())]
    host = next((a["address"] for a in addresses if a["type"] == "InternalIP"), "127.0.0.1")
    return f"http://{host}:{port}"


def ask_control(folder: LabFolder, gateway: str, method: str, path: str, body: Any = None) -> Any:
    """Ask control through the gateway, as the platform.

    Raises:
        RefusedError: the answer is 403.
        UnavailableError: it is another error, or there is none.
    """
    token = identity.mint(folder, identity.PLATFORM)
    url = f"{gateway}/control{path}"
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        kind = RefusedError if error.code == 403 else UnavailableError
        raise kind(f"Control answers {error.code} to {path}: {error.read().decode(errors='replace')[:300]}") from None
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise UnavailableError(
            f"Control does not answer at {url} ({getattr(error, 'reason', error)}).", "See: archlab status"
        ) from None
