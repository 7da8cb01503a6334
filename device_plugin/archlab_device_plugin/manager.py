"""Keeps every resource registered, or stands aside where somebody else advertises it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from archlab_device_plugin.devices import BASIS, PREFIX, Device, by_resource, unhealthy
from archlab_device_plugin.kubelet import Kubelet, KubeletError
from archlab_device_plugin.node import ApiError
from archlab_device_plugin.plugin import ResourcePlugin

log = logging.getLogger("archlab_device_plugin")

POLL_S = 1.0
UNCLEAR_S = 15.0
"""How long a resource that is known to the kubelet, but without a device, may still be claimed by its owner."""


class State(StrEnum):
    """Where a resource stands."""

    WAITING = "waiting"
    REGISTERED = "registered"
    ASIDE = "aside"
    """Another plugin advertises it; ours is silent."""


class Labelled(Protocol):
    """The part of `archlab_device_plugin.node.Node` that is needed here."""

    def label(self, value: str | None) -> None:
        """Set or remove the label that says how real the node's devices are."""


class Manager:
    """Converges: call `step` again and again.

    A node is labelled before anything is advertised on it: what can't be labelled is not advertised.

    Args:
        devices: everything that this node advertises.
        node: where the label goes.
        name: the node's name.
        kubelet: who is told.
        now: seconds on a monotonic clock.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        node: Labelled,
        name: str,
        kubelet: Kubelet,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = tuple(devices)
        self._node = node
        self._kubelet = kubelet
        self._now = now
        self._plugins = [
            ResourcePlugin(resource, held, name, kubelet.folder) for resource, held in by_resource(devices).items()
        ]
        self.states = {plugin.resource: State.WAITING for plugin in self._plugins}
        self._incarnation: tuple[int, int] | None = None
        self._own: set[str] = set()
        self._unclear_since: dict[str, float] = {}
        self._labelled: bool | None = None

    @property
    def ready(self) -> bool:
        """Whether every resource has found its place."""
        return State.WAITING not in self.states.values()

    def mark(self, named: str) -> None:
        """Make the named devices unhealthy, all others healthy; see `archlab_device_plugin.devices.unhealthy`."""
        marked = unhealthy(self._devices, named)
        for plugin in self._plugins:
            plugin.mark(marked)

    def run(self, stopping: threading.Event) -> None:
        """Converge until asked to stop, then take everything back."""
        while not stopping.is_set():
            self.step()
            stopping.wait(POLL_S)
        self.stop()

    def step(self) -> None:
        """Look once, and do what is needed; what fails is logged, and tried again by the next step."""
        incarnation = self._kubelet.incarnation
        if incarnation != self._incarnation:
            log.info("the kubelet is %s", "gone" if incarnation is None else "there")
            self._incarnation = incarnation
            self.states = dict.fromkeys(self.states, State.WAITING)
        if incarnation is None:
            return
        for plugin in self._plugins:
            try:
                self._place(plugin)
            except (ApiError, KubeletError, OSError, RuntimeError) as error:
                log.warning("%s", error)
        if self.ready and State.REGISTERED not in self.states.values():
            self._unlabel()

    def stop(self) -> None:
        """Advertise nothing more and remove the label."""
        for plugin in self._plugins:
            plugin.stop()
        self.states = dict.fromkeys(self.states, State.WAITING)
        self._unlabel()

    def _place(self, plugin: ResourcePlugin) -> None:
        """One resource: registered by us, or left to others."""
        state = self.states[plugin.resource]
        if self._is_foreign(plugin.resource, state):
            if state is not State.ASIDE:
                log.warning("%s is advertised by another plugin: standing aside", plugin.resource)
                plugin.mute()
                self._own.discard(plugin.resource)
            self.states[plugin.resource] = State.ASIDE
        elif (state is not State.REGISTERED or not plugin.listens) and not self._is_unclear(plugin.resource):
            self.states[plugin.resource] = State.WAITING
            self._label()
            plugin.start()
            self._kubelet.register(plugin.resource, plugin.socket.name)
            log.info("%s: registered", plugin.resource)
            self._own.add(plugin.resource)
            self.states[plugin.resource] = State.REGISTERED

    def _is_foreign(self, resource: str, state: State) -> bool:
        known = self._kubelet.registered(resource)
        if known:
            return any(not id_.startswith(PREFIX) for id_ in known)
        return state is State.ASIDE and known is not None

    def _is_unclear(self, resource: str) -> bool:
        """Known without a healthy device, and not by us: its owner may be about to register again."""
        if resource in self._own or self._kubelet.registered(resource) != frozenset():
            self._unclear_since.pop(resource, None)
            return False
        since = self._unclear_since.setdefault(resource, self._now())
        return self._now() - since < UNCLEAR_S

    def _label(self) -> None:
        if self._labelled is not True:
            self._node.label(BASIS)
            self._labelled = True

    def _unlabel(self) -> None:
        if self._labelled is False:
            return
        try:
            self._node.label(None)
            self._labelled = False
        except ApiError as error:
            log.warning("the label stays: %s", error)
