"""Envoy's whole configuration for a lab, and its files.

The bootstrap names three files that Envoy watches (filesystem xDS): `lds.json`, `rds.json`, `cds.json`. Each is
replaced by an atomic rename, only when its content changes, and carries the digest of its content as its version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archlab.files import write_atomic
from archlab.gateway.clusters import clusters
from archlab.gateway.listener import listener
from archlab.gateway.messages import Message, file_source, pipe
from archlab.gateway.routes import routes
from archlab.gateway.sites import Site, Sockets
from archlab.settings import LabFolder
from archlab.spec.plan import Plan

ALL = frozenset({"bootstrap.json", "cds.json", "rds.json", "lds.json"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """What goes into the four files."""

    bootstrap: Message
    listeners: Sequence[Message]
    routes: Sequence[Message]
    clusters: Sequence[Message]

    def documents(self) -> dict[str, str]:
        """Content of each file, by name."""
        return {
            "bootstrap.json": json.dumps(self.bootstrap, indent=1),
            "cds.json": _response(self.clusters),
            "rds.json": _response(self.routes),
            "lds.json": _response(self.listeners),
        }

    def with_clusters(self, others: Sequence[Message]) -> Configuration:
        """The same with further clusters, unless one of the same name is there already."""
        names = {c["name"] for c in self.clusters}
        return replace(self, clusters=[*self.clusters, *(c for c in others if c["name"] not in names)])


@dataclass(frozen=True, slots=True)
class GatewayFiles:
    """Where Envoy's configuration and log of a lab are."""

    folder: Path
    """`conf/envoy`."""
    admin: Path
    """Unix socket of Envoy's admin interface; there is no admin port."""
    access_log: Path

    @classmethod
    def of(cls, folder: LabFolder) -> GatewayFiles:
        """The places within a lab's folder."""
        return cls(folder.conf / "envoy", folder.socket("envoy-admin"), folder.log / "gateway-access.log")

    @property
    def bootstrap(self) -> Path:
        """What `envoy -c` takes."""
        return self.folder / "bootstrap.json"

    def read(self, name: str) -> Message:
        """A file's content as written last; empty when there is none that can be read."""
        try:
            content: Message = json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return {}
        return content

    def version(self, name: str) -> str:
        """Version of a file as written last; empty when there is none."""
        return str(self.read(name).get("version_info", ""))


def configuration(plan: Plan, folder: LabFolder, port: int, jwks: str, site: Site | None = None) -> Configuration:
    """The gateway of a plan.

    Args:
        plan: routes, units and limits.
        folder: the lab's; sockets and logs are there.
        port: where to listen.
        jwks: the lab's public keys (JSON Web Key Set).
        site: where replicas are found and what is listened on; this machine's sockets and 127.0.0.1 unless told.
    """
    site = site or Sockets(folder)
    files = GatewayFiles.of(folder)
    return Configuration(
        bootstrap=_bootstrap(plan.lab, files),
        listeners=[listener(folder.name, (site.listen, port), jwks, site.access_log, files.folder / "rds.json")],
        routes=[routes(plan)],
        clusters=clusters(plan, site),
    )


def write(
    config: Configuration,
    files: GatewayFiles,
    names: frozenset[str] = ALL,
    *,
    force: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Replace those of the named files whose content changed, and those in `force`; what was replaced is returned."""
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    documents = {name: text for name, text in config.documents().items() if name in names}
    changed = {n: text for n, text in documents.items() if n in force or _differs(files.folder / n, text)}
    for name, text in changed.items():
        write_atomic(files.folder / name, text)
    return frozenset(changed)


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text() != text
    except OSError:
        return True


def _response(resources: Sequence[Message]) -> str:
    """A DiscoveryResponse whose version is the digest of its resources."""
    body = json.dumps(resources, sort_keys=True)
    return json.dumps(
        {"version_info": hashlib.sha256(body.encode()).hexdigest()[:16], "resources": resources}, indent=1
    )


def _bootstrap(lab: str, files: GatewayFiles) -> Message:
    return {
        "node": {"id": "gateway", "cluster": lab},
        "admin": {"address": pipe(files.admin)},
        "dynamic_resources": {
            "lds_config": file_source(files.folder / "lds.json"),
            "cds_config": file_source(files.folder / "cds.json"),
        },
    }
