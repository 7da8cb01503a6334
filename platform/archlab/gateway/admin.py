"""Envoy's admin interface on its unix socket: is it up, what has it taken over, reopen the log."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from archlab.errors import UnavailableError
from archlab.gateway.routes import NAME
from archlab.unixhttp import UnixConnection, ask

_STATS = {
    "cds.json": ("cluster_manager.cds.version_text", "cluster_manager.cds.update_rejected"),
    "rds.json": (f"http.gateway.rds.{NAME}.version_text", f"http.gateway.rds.{NAME}.update_rejected"),
    "lds.json": ("listener_manager.lds.version_text", "listener_manager.lds.update_rejected"),
}
TIMEOUT_S = 2.0
WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")


@dataclass(frozen=True, slots=True)
class Uptake:
    """What Envoy has taken over from its files."""

    versions: dict[str, str]
    """Version in force, per file."""
    rejected: dict[str, int]
    """Updates refused since the start, per file."""
    warming: int
    """Clusters and listeners that wait for their first health check or their routes."""


class Admin:
    """The admin interface of one Envoy.

    Every method raises UnavailableError when it does not answer.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def uptake(self) -> Uptake:
        """Versions in force, refused updates, and what is still warming."""
        stats = self.stats(r"(version_text|update_rejected|warming)")
        return Uptake(
            versions={file: stats.get(version, "").strip('"') for file, (version, _) in _STATS.items()},
            rejected={file: int(stats.get(rejected, "0")) for file, (_, rejected) in _STATS.items()},
            warming=sum(int(stats.get(name, "0")) for name in WARMING),
        )

    def in_flight(self, cluster: str) -> int:
        """Requests that a cluster's replicas have not answered yet."""
        stats = self.stats(rf"^cluster\.{cluster.replace('.', '[._]')}\.upstream_rq_(active|pending_active)$")
        return sum(int(value) for value in stats.values())

    def ailing(self, *, all_members: bool = False) -> set[str]:
        """Clusters that have a replica which Envoy does not regard as healthy; or only such replicas."""
        stats = self.stats(r"^cluster\..*\.membership_(healthy|total)$")
        names = {key.removeprefix("cluster.").rpartition(".")[0] for key in stats}
        counts = {n: (stats[f"cluster.{n}.membership_healthy"], stats[f"cluster.{n}.membership_total"]) for n in names}
        return {n for n, (up, total) in counts.items() if (up == "0" and total != "0" if all_members else up != total)}

    def stats(self, pattern: str) -> dict[str, str]:
        """Counters, gauges and texts whose name matches a regular expression."""
        lines = self._ask("GET", "/stats", filter=pattern).splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def reopen_logs(self) -> None:
        """Write the access log to a new file after the old one was renamed."""
        self._ask("POST", "/reopen_logs")

    def _ask(self, method: str, path: str, **params: str) -> str:
        query = f"?{urlencode(params)}" if params else ""
        try:
            status, body = ask(UnixConnection(self._socket, TIMEOUT_S), method, path + query)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"The gateway's admin interface does not answer: {error}.") from None
        if status != http.HTTPStatus.OK:
            raise UnavailableError(f"The gateway's admin interface answers {status} for {path}.")
        return body.decode()
