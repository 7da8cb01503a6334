"""One resource's gRPC server: what the kubelet asks a device plugin (v1beta1)."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from archlab_device_plugin import messages
from archlab_device_plugin.devices import BASIS, Device

log = logging.getLogger("archlab_device_plugin")

STREAMS = 4
"""ListAndWatch holds a thread for as long as the kubelet listens."""


class ResourcePlugin:
    """Serves one resource on a socket of its own; safe for threads.

    Args:
        resource: name of the extended resource.
        devices: its devices.
        node: name of the node, part of every device's identity.
        folder: the kubelet's folder of device plugins.
    """

    def __init__(self, resource: str, devices: Sequence[Device], node: str, folder: Path) -> None:
        self.resource = resource
        self.socket = folder / f"archlab-{re.sub('[^a-z0-9]+', '-', resource.lower())}.sock"
        self._devices = tuple(devices)
        self._node = node
        self._changed = threading.Condition()
        self._unhealthy: frozenset[str] = frozenset()
        self._version = 0
        self._muted = False
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Listen, anew when it listened before: a kubelet that starts deletes every socket in its folder.

        Raises:
            OSError, RuntimeError: the socket can't be made.
        """
        self.stop()
        self.socket.unlink(missing_ok=True)
        with self._changed:
            self._muted = False
            self._server = server = grpc.server(ThreadPoolExecutor(2 * STREAMS))
        server.add_generic_rpc_handlers((self._handlers(),))
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()

    def stop(self) -> None:
        """Stop listening; the kubelet then counts the devices as unhealthy."""
        with self._changed:
            server, self._server = self._server, None
            self._version += 1
            self._changed.notify_all()
        if server is not None:
            server.stop(grace=0.5).wait()
            self.socket.unlink(missing_ok=True)

    @property
    def listens(self) -> bool:
        """Whether the kubelet could reach it."""
        return self._server is not None and self.socket.exists()

    def mute(self) -> None:
        """Say nothing more, but keep the stream open.

        The kubelet keys what it is told by resource, not by plugin: once another plugin has registered the resource,
        our next list would replace the other's devices, and our stream's end would mark them unhealthy.
        """
        with self._changed:
            self._muted = True

    def mark(self, unhealthy: Collection[str]) -> None:
        """Name the devices (by id) that are unhealthy; all others are healthy."""
        own = frozenset(unhealthy) & {device.id for device in self._devices}
        with self._changed:
            if own == self._unhealthy:
                return
            log.info("%s: unhealthy are now %s", self.resource, sorted(own) or "none")
            self._unhealthy = own
            self._version += 1
            self._changed.notify_all()

    def _handlers(self) -> grpc.GenericRpcHandler:
        m = messages
        methods = {
            "GetDevicePluginOptions": _unary(lambda _request, _context: m.DevicePluginOptions(), m.Empty),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self._list_and_watch, m.Empty.FromString, m.ListAndWatchResponse.SerializeToString
            ),
            "Allocate": _unary(self._allocate, m.AllocateRequest),
            "PreStartContainer": _unary(
                lambda _request, _context: m.PreStartContainerResponse(), m.PreStartContainerRequest
            ),
        }
        handlers: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", methods)
        return handlers

    def _list_and_watch(self, _request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        server, sent = self._server, -1
        context.add_callback(self._wake)
        while True:
            with self._changed:
                while not self._ended(server, context) and (self._version == sent or self._muted):
                    self._changed.wait()
                if self._ended(server, context):
                    return
                sent, unhealthy = self._version, self._unhealthy
            yield messages.ListAndWatchResponse(
                devices=[
                    messages.Device(
                        ID=device.id, health=messages.UNHEALTHY if device.id in unhealthy else messages.HEALTHY
                    )
                    for device in self._devices
                ]
            )

    def _ended(self, server: grpc.Server | None, context: grpc.ServicerContext) -> bool:
        return server is None or self._server is not server or not context.is_active()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _allocate(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = {device.id: device for device in self._devices}
        answer = messages.AllocateResponse()
        for container in request.container_requests:
            if unknown := sorted(set(container.devices_ids) - known.keys()):
                context.abort(grpc.StatusCode.NOT_FOUND, f"{self.resource} has no device {', '.join(unknown)}")
            held = [known[id_] for id_ in sorted(container.devices_ids)]
            answer.container_responses.add(envs=self.environment(held))
            log.info("%s: allocated %s", self.resource, [device.name for device in held])
        return answer

    def environment(self, held: Sequence[Device]) -> dict[str, str]:
        """Variables of a container that holds the devices.

        `NVIDIA_VISIBLE_DEVICES=void` keeps NVIDIA's container runtime, where there is one, from showing it a real card
        (NVIDIA Container Toolkit, Environment variables).
        """
        variable = "ARCHLAB_DEVICE_" + re.sub("[^A-Z0-9]+", "_", self.resource.upper())
        return {
            "ARCHLAB_DEVICE_BASIS": BASIS,
            "NVIDIA_VISIBLE_DEVICES": "void",
            variable: ",".join(device.name for device in held),
            f"{variable}_INFO": json.dumps([device.describe(self._node) for device in held], separators=(",", ":")),
        }


def _unary(behaviour: Any, request: Any) -> grpc.RpcMethodHandler[Any, Any]:
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        behaviour, request.FromString, lambda answer: answer.SerializeToString()
    )
    return handler
