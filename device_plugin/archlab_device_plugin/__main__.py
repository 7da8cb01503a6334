"""`python -m archlab_device_plugin`: runs on every node, as a DaemonSet.

`ARCHLAB_DEVICE_PLUGIN_DEVICES` names the file of declared devices, `ARCHLAB_DEVICE_PLUGIN_NODE` the node it runs on;
`ARCHLAB_DEVICE_PLUGIN_PORT` (8080) answers probes.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from archlab_device_plugin import devices, health
from archlab_device_plugin.kubelet import Kubelet
from archlab_device_plugin.manager import Manager
from archlab_device_plugin.node import Node


def main() -> int:
    """Advertise until SIGTERM; 2 when the configuration can't be used."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        declared = devices.load(Path(os.environ["ARCHLAB_DEVICE_PLUGIN_DEVICES"]))
        name = os.environ["ARCHLAB_DEVICE_PLUGIN_NODE"]
        node = Node.in_cluster(name)
    except (devices.ConfigurationError, KeyError, OSError) as error:
        sys.stderr.write(f"The device plugin can't start: {error!r}\n")
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    manager = Manager(declared, node, name, Kubelet())
    server = health.serve(manager, "0.0.0.0", int(os.environ.get("ARCHLAB_DEVICE_PLUGIN_PORT", "8080")))  # noqa: S104
    threading.Thread(target=node.follow, args=(manager.mark, stopping), name="node", daemon=True).start()
    manager.run(stopping)
    server.shutdown()
    server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
