"""Hands a new configuration to a running Envoy without losing a request: make, switch, drain, remove.

New clusters come first and are healthy before a route names them; then routes and listener; then, when their last
request is answered, the clusters that no route names any more go. Interrupted anywhere, it can be done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from archlab.errors import TargetError, UnavailableError
from archlab.gateway.admin import Admin, Uptake
from archlab.gateway.clusters import SHADOW_SUFFIX, stands_by
from archlab.gateway.configuration import Configuration, GatewayFiles, write
from archlab.gateway.messages import Message

UNIT = "gateway"
PATIENCE_S = 20.0
DRAIN_S = 10.0
_PAUSE_S = 0.02

CLUSTERS = frozenset({"cds.json"})
TRAFFIC = frozenset({"rds.json", "lds.json"})


def roll_out(config: Configuration, files: GatewayFiles, *, patience_s: float = PATIENCE_S) -> None:
    """Bring a running Envoy to `config`; returns when exactly that is in force.

    Raises:
        TargetError: Envoy refuses the configuration, does not take it over in time, or does not answer.
    """
    old: list[Message] = files.read("cds.json").get("resources", [])
    admin = Admin(files.admin)
    _hand_over(admin, config.with_clusters(old), files, CLUSTERS, patience_s)
    _hand_over(admin, config, files, TRAFFIC, patience_s)
    kept = {c["name"] for c in config.clusters}
    leaving = [str(c["name"]) for c in old if c["name"] not in kept]
    if leaving:
        # nobody waits for the answers to mirrored requests
        drained = [name for name in leaving if not name.endswith(SHADOW_SUFFIX)]
        _until(lambda: not any(admin.in_flight(name) for name in drained), DRAIN_S)
        _hand_over(admin, config, files, CLUSTERS, patience_s)


def wait_healthy(config: Configuration, files: GatewayFiles, *, patience_s: float = PATIENCE_S) -> None:
    """Return when Envoy regards every replica in the clusters of `config` as healthy.

    A replica that says it is ready gets requests only after Envoy's next health check. Clusters of which some members
    stand by are left out: see `wait_answering`.

    Raises:
        TargetError: one stays unhealthy, or Envoy does not answer.
    """
    names = {str(c["name"]) for c in config.clusters if not stands_by(c)}
    _wait_well(files, lambda admin: names & admin.ailing(), patience_s)


def wait_answering(config: Configuration, files: GatewayFiles, *, patience_s: float = PATIENCE_S) -> None:
    """Return when every cluster of which some members stand by has one that answers; after `roll_out`.

    A registry whose database follows another never says that it is primary.

    Raises:
        TargetError: one has none, or Envoy does not answer.
    """
    names = {str(c["name"]) for c in config.clusters if stands_by(c)}
    if names:
        _wait_well(files, lambda admin: names & admin.ailing(all_members=True), patience_s)


def _wait_well(files: GatewayFiles, ailing: Callable[[Admin], set[str]], patience_s: float) -> None:
    admin = Admin(files.admin)
    _answer(admin, patience_s)
    if not _until(lambda: not ailing(admin), patience_s):
        raise TargetError(
            f"The gateway finds {', '.join(sorted(ailing(admin)))} unhealthy.", "See: archlab status", unit=UNIT
        )


def _hand_over(
    admin: Admin, config: Configuration, files: GatewayFiles, names: frozenset[str], patience_s: float
) -> None:
    before = _answer(admin, patience_s)
    refused_once = frozenset(n for n in names if before.versions[n] != files.version(n))
    write(config, files, names, force=refused_once)
    wanted = {name: files.version(name) for name in names}
    settled = _until(lambda: _in_force(admin.uptake(), wanted, before), patience_s)
    if not settled:
        missing = ", ".join(n for n, v in admin.uptake().versions.items() if n in wanted and v != wanted[n])
        raise TargetError(
            f"The gateway did not take over {missing or 'its clusters'} within {patience_s:g} s.",
            "See: archlab logs gateway",
            unit=UNIT,
        )


def _in_force(now: Uptake, wanted: dict[str, str], before: Uptake) -> bool:
    outstanding = [name for name, version in wanted.items() if now.versions[name] != version]
    refused = [name for name in outstanding if now.rejected[name] > before.rejected[name]]
    if refused:
        raise TargetError(
            f"The gateway refuses its configuration ({', '.join(refused)}).", "See: archlab logs gateway", unit=UNIT
        )
    return not outstanding and now.warming == 0


def _answer(admin: Admin, patience_s: float) -> Uptake:
    """What Envoy has in force, as soon as it answers (it may be starting)."""
    answers: list[Uptake] = []

    def asked() -> bool:
        try:
            answers.append(admin.uptake())
        except UnavailableError:
            return False
        return True

    if not _until(asked, patience_s):
        raise TargetError("The gateway does not answer on its admin socket.", "See: archlab logs gateway", unit=UNIT)
    return answers[-1]


def _until(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True
