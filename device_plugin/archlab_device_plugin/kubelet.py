"""The kubelet's side: its registration socket, and which identities it has registered for a resource."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc

from archlab_device_plugin import messages

FOLDER = Path("/var/lib/kubelet/device-plugins")
TIMEOUT_S = 10.0


class KubeletError(RuntimeError):
    """The kubelet does not answer, or refuses."""


class Kubelet:
    """One node's kubelet, seen through its folder of device plugins.

    Args:
        folder: where its socket, every plugin's socket and its checkpoint are.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    @property
    def incarnation(self) -> tuple[int, int] | None:
        """Changes when the kubelet has started anew (it makes its socket again); None while there is none."""
        try:
            found = (self.folder / "kubelet.sock").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_ctime_ns

    def register(self, resource: str, endpoint: str) -> None:
        """Announce a plugin that listens already on the socket `endpoint` in the folder.

        Raises:
            KubeletError: it does not answer, or refuses.
        """
        request = messages.RegisterRequest(
            version=messages.VERSION, endpoint=endpoint, resource_name=resource, options=messages.DevicePluginOptions()
        )
        with grpc.insecure_channel(f"unix:{self.folder / 'kubelet.sock'}") as channel:
            call: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
                "/v1beta1.Registration/Register", lambda message: message.SerializeToString(), messages.Empty.FromString
            )
            try:
                call(request, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                raise KubeletError(f"{resource}: the kubelet did not register it: {_reason(error)}") from None

    def registered(self, resource: str) -> frozenset[str] | None:
        """Ids of the healthy devices that the kubelet has last registered for a resource, whoever brought them.

        None when it knows no such resource. Read from the kubelet's own checkpoint of its device manager, which it
        writes at every list of devices: the only place on a node that says whose devices a resource has.

        Raises:
            KubeletError: the checkpoint can't be understood.
        """
        try:
            document: Any = json.loads((self.folder / "kubelet_internal_checkpoint").read_text())
            found = document["Data"]["RegisteredDevices"] or {}
            return frozenset(found[resource] or ()) if resource in found else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KubeletError(f"the kubelet's checkpoint can't be understood: {error!r}") from None


def _reason(error: grpc.RpcError) -> str:
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else str(error)
