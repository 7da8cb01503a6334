"""What the kubelet's probes ask: `/readyz` tells where each resource stands, `/livez` that the program runs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from archlab_device_plugin.manager import Manager


def serve(manager: Manager, host: str, port: int) -> ThreadingHTTPServer:
    """Answer in a thread of its own; `shutdown()` ends it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/livez": 200, "/readyz": 200 if manager.ready else 503}.get(self.path, 404)
            body = json.dumps({"resources": dict(manager.states)}).encode()
            self.send_response(found)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Probes are no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
