"""A kubelet for tests: its registration service on a real socket, and its client's side of a plugin's stream."""

from __future__ import annotations

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from archlab_device_plugin import messages


class FakeKubelet:
    """Registers plugins as the kubelet does: connects back, follows the list of devices, keeps a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registered: dict[str, dict[str, str]] = {}
        self.endpoints: dict[str, str] = {}
        self.changes: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue()
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """As after a start: every socket in the folder goes first."""
        for path in self.folder.glob("*.sock"):
            path.unlink()
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            self._register, messages.RegisterRequest.FromString, lambda answer: answer.SerializeToString()
        )
        generic = grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": handler})
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(f"unix:{self.folder / 'kubelet.sock'}")
        self._server.start()

    def stop(self) -> None:
        """Gone, with its socket."""
        if self._server is not None:
            self._server.stop(grace=None).wait()
            (self.folder / "kubelet.sock").unlink(missing_ok=True)
            self._server = None

    def checkpoint(self, registered: dict[str, list[str]]) -> None:
        """What the kubelet says it has registered."""
        document = {"Data": {"PodDeviceEntries": None, "RegisteredDevices": registered}, "Checksum": 1}
        part = self.folder / "part"
        part.write_text(json.dumps(document))
        part.rename(self.folder / "kubelet_internal_checkpoint")

    def call(self, resource: str, method: str, request: Any, answer: Any) -> Any:
        """Ask the plugin of a resource."""
        with grpc.insecure_channel(f"unix:{self.folder / self.endpoints[resource]}") as channel:
            stub: Any = channel.unary_unary(
                f"/v1beta1.DevicePlugin/{method}", lambda message: message.SerializeToString(), answer.FromString
            )
            return stub(request, timeout=5)

    def _register(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.version != "v1beta1":
            context.abort(grpc.StatusCode.UNKNOWN, f"unsupported version {request.version}")
        self.endpoints[request.resource_name] = request.endpoint
        follow = threading.Thread(target=self._follow, args=(request.resource_name, request.endpoint), daemon=True)
        follow.start()
        return messages.Empty()

    def _follow(self, resource: str, endpoint: str) -> None:
        with grpc.insecure_channel(f"unix:{self.folder / endpoint}") as channel:
            stub: Any = channel.unary_stream(
                "/v1beta1.DevicePlugin/ListAndWatch",
                lambda message: message.SerializeToString(),
                messages.ListAndWatchResponse.FromString,
            )
            try:
                for answer in stub(messages.Empty()):
                    found = {device.ID: device.health for device in answer.devices}
                    self.registered[resource] = found
                    self.changes.put((resource, found))
            except grpc.RpcError:
                self.changes.put((resource, {}))
