"""The learner's changes: edit overrides, plan again, apply the difference, without failing a request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from archlab.errors import NotFoundError, RefusedError, UnavailableError, UserError
from archlab.files import write_model
from archlab.lab import canary, devices, quotas
from archlab.lab.clock import parse_span
from archlab.lab.lab import Lab
from archlab.lab.work import run_batch
from archlab.plan.layout import diff, layout
from archlab.plan.resolve import override
from archlab.policy.traffic import routed
from archlab.spec.autoscaling import Autoscaling
from archlab.spec.plan import Plan, Progress
from archlab.spec.release import ReleaseFeed, ReleaseKind
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab.targets import places

LOADED_WITHIN_S = 30.0
SETTINGS = {
    "mode": "mode",
    "replicas": "replicas",
    "batch-every": "batch_every",
    "canary": "canary_percent",
    "shadow": "shadow_percent",
    "device": "device",
}
"""What a learner sets, and the override's field."""
_LOADED = re.compile(r'^archlab_model_loaded\{model="([^"]*)"[^}]*unit="([^"]*)"', re.MULTILINE)


def parse_change(setting: str, value: str) -> ModelOverride:
    """A setting and its value as typed by the learner.

    Raises:
        UserError: an unknown setting, or a value it does not take.
    """
    if setting not in SETTINGS:
        raise UserError(f"There is no setting {setting!r}.", f"Settings: {', '.join(SETTINGS)}.")
    try:
        return ModelOverride.model_validate({SETTINGS[setting]: _parsed(setting, value)})
    except ValidationError as error:
        raise UserError(
            f"{setting} can't be {value!r}: {error.errors()[0]['msg']}.", "See: archlab set --help"
        ) from None


def _parsed(setting: str, value: str) -> object:
    match setting:
        case "batch-every":
            return parse_span(value)
        case "canary" | "shadow":
            return {"on": "100", "off": "0"}.get(value, value.removesuffix("%"))
        case _:
            return value


def change_model(
    lab: Lab, model: str, change: ModelOverride, progress: Progress, *, user: str | None = None
) -> tuple[str, ...]:
    """Change one model, as a user (the learner by default); returns what changed, in words.

    A model that goes to batch gets its first run and its table before the gateway sends callers there; one that goes
    online is loaded before. What it leaves is retired last.

    Raises:
        NotFoundError: there is no such model.
        PlacementError: a device would be needed that the planner can't give; nothing is changed.
        RefusedError: it would take more than the team may, or the gate does not let the challenger answer so many
            callers; nothing is changed.
    """
    if model not in {m.name for m in lab.declared.models}:
        known = ", ".join(m.name for m in lab.declared.models)
        raise NotFoundError(f"There is no model {model!r} in this lab.", f"Models: {known}.")
    before = lab.overrides
    merged = before.models.get(model, ModelOverride()).model_copy(update=change.model_dump(exclude_none=True))
    wanted = before.model_copy(update={"models": {**before.models, model: merged}})
    if lab.declared.devices:
        devices.check(lab.plan, _planned(lab, wanted), asking=model if change.device else "")
    warnings = _warnings(lab, wanted)
    _ask_share(lab, model, wanted, user)
    return (*apply_overrides(lab, wanted, progress, user=user), *warnings)


def change_autoscaling(lab: Lab, pool: str, wanted: Autoscaling | None, progress: Progress) -> tuple[str, ...]:
    """Let a pool's replicas follow load, or keep them fixed (None); returns what changed, in words.

    Raises:
        NotFoundError: there is no such pool.
        UserError: nothing here can scale it; nothing is changed.
        RefusedError: all pods that may run would cost more than a team's budget; nothing is changed.
    """
    if pool not in {p.name for p in lab.scenario.pools}:
        known = ", ".join(p.name for p in lab.scenario.pools)
        raise NotFoundError(f"There is no pool {pool!r} in this lab.", f"Pools: {known}.")
    before = lab.overrides
    scaled = {name: held for name, held in (before.autoscale or {}).items() if name != pool}
    if wanted:
        scaled[pool] = wanted
    asked = before.model_copy(update={"autoscale": scaled or None})
    plan = _planned(lab, asked)
    lab.target.accept(lab.plan, plan)
    warnings = tuple(f"warning: {said}" for said in quotas.check_scaling(lab, asked, plan))
    return (*apply_overrides(lab, asked, progress), *warnings)


def change_teams(lab: Lab, changes: Mapping[str, TeamOverride], progress: Progress) -> tuple[str, ...]:
    """Change what keeps teams apart; returns what changed, in words.

    Models that move to other servers are loaded there before the gateway sends anybody, and leave the old ones last.

    Raises:
        NotFoundError: there is no such team.
        RefusedError: it would take more than a team may; nothing is changed.
    """
    known = [team.name for team in lab.declared.teams]
    if unknown := sorted(set(changes) - set(known)):
        raise NotFoundError(f"There is no team {unknown[0]!r} in this lab.", f"Teams: {', '.join(known)}.")
    before = lab.overrides
    merged = {
        name: before.teams.get(name, TeamOverride()).model_copy(update=change.model_dump(exclude_none=True))
        for name, change in changes.items()
    }
    back = {name for name, change in merged.items() if change.isolation not in (None, Isolation.POOL)}
    gone = back - {pool.name for pool in lab.declared.pools}
    scaled = {pool: held for pool, held in (before.autoscale or {}).items() if pool not in gone}
    wanted = before.model_copy(update={"teams": {**before.teams, **merged}, "autoscale": scaled or None})
    warnings = _warnings(lab, wanted)
    return (*apply_overrides(lab, wanted, progress), *warnings)


def follow_aliases(lab: Lab, model: str, progress: Progress, *, user: str | None = None) -> tuple[str, ...]:
    """Plan again after an alias of a model moved, so that shares go to the version that holds `challenger` now.

    A canary is asked for anew, for that version; until it is let through, the champion answers.

    A challenger that became the champion ends its canary and its shadow: a later rollback must not find them again.
    """
    held, wanted = _aliases(lab).get(model, {}), lab.overrides
    change = wanted.models.get(model)
    if change and held.get("challenger", "") == held.get("champion"):
        ended = change.model_copy(update={"canary_percent": None, "shadow_percent": None})
        wanted = wanted.model_copy(update={"models": {**wanted.models, model: ended}})
    try:
        _ask_share(lab, model, wanted, user)
    except RefusedError as error:
        progress(model, f"the canary waits: {error.message}")
    if wanted == lab.overrides and _planned(lab, wanted) == lab.plan:
        return ()
    return apply_overrides(lab, wanted, progress, user=user)


def _ask_share(lab: Lab, model: str, wanted: Overrides, user: str | None) -> None:
    """Ask the gate when more callers of a model would go to its challenger than go there now.

    Raises:
        RefusedError: it says no.
    """
    percent = wanted.models.get(model, ModelOverride()).canary_percent or 0
    version = challengers(lab).get(model, "")
    if version and percent > routed(lab.plan, model).get(version, 0):
        canary.ask(lab, model, version, percent, user=user)


def apply_overrides(lab: Lab, wanted: Overrides, progress: Progress, *, user: str | None = None) -> tuple[str, ...]:
    """Make the lab what the overrides say; returns what changed, in words."""
    old_plan, old_scenario = lab.plan, lab.scenario
    scenario = override(lab.resolved, wanted)
    plan = _planned(lab, wanted)
    lab.target.accept(old_plan, plan)
    moved = [m.name for m in scenario.models if m.mode != old_scenario.model(m.name).mode]
    relocated = [m.name for m in scenario.models if m.pool != old_scenario.model(m.name).pool and m.mode is Mode.ONLINE]
    for name in moved:
        if scenario.model(name).mode is Mode.BATCH:
            progress(name, "first batch run")
            run_batch(lab, name, progress)
    fresh = [named for named in _fresh(old_plan, plan) if named[0] not in moved]
    _await_ready(lab, fresh)
    write_model(lab.folder.overrides, wanted)
    publish(lab, scenario)
    write_model(lab.folder.plan, plan)
    lab.target.share()
    if not moved and not fresh and plan.units == old_plan.units:
        # nothing has to be loaded first: what is withdrawn gets no request from here on
        lab.target.route(plan)
    lab.control.post("/releases/reconcile", {})
    _await_loaded(lab, scenario, moved)
    _await_in_pool(lab, scenario, old_plan, [name for name in relocated if name not in moved])
    lab.target.apply(plan, progress)
    devices.await_taken(lab, old_plan, plan)
    for left in canary.give_back(lab, old_plan, plan, user=user):
        progress("record", f"the end of a canary is not on record: {left}")
    lab.control.post("/releases/reconcile", {"retire": True})
    return diff(old_plan, plan)


def challengers(lab: Lab) -> dict[str, str]:
    """Version under alias `challenger`, per model that has one beside its champion."""
    return {
        name: held["challenger"]
        for name, held in _aliases(lab).items()
        if "challenger" in held and held["challenger"] != held.get("champion")
    }


def waiting(lab: Lab, model: str) -> str:
    """Why a canary or shadow share of a model takes no effect yet, and the next step; empty when none waits."""
    change = lab.overrides.models.get(model, ModelOverride())
    route = next(r for r in lab.plan.routes if r.model == model)
    takes_effect = {"canary": bool(routed(lab.plan, model)), "shadow": route.shadow is not None}
    shares = [name for name, share in _shares(change).items() if share and not takes_effect[name]]
    if not shares:
        return ""
    what = f"{' and '.join(shares)} of {model} wait{'s' if len(shares) == 1 else ''}"
    if lab.scenario.model(model).mode is Mode.BATCH:
        return f"{what} while it is answered from a table. Compute it: archlab set {model} mode online"
    if version := challengers(lab).get(model):
        again = f"archlab set {model} canary {change.canary_percent}"
        return f"{what} until version {version} may answer so many callers. Ask, or see why not: {again}"
    return f"{what} for a challenger. Name one: archlab promote {model} VERSION --alias challenger"


def _shares(change: ModelOverride) -> dict[str, int]:
    return {"canary": change.canary_percent or 0, "shadow": change.shadow_percent or 0}


def _aliases(lab: Lab) -> dict[str, dict[str, str]]:
    found = lab.registry().get("/registered-models/search?max_results=200").get("registered_models", [])
    return {m["name"]: {a["alias"]: str(a["version"]) for a in m.get("aliases", [])} for m in found}


def _warnings(lab: Lab, wanted: Overrides) -> tuple[str, ...]:
    """What comes near to a quota, in words.

    Raises:
        RefusedError: something would take more than a team may.
    """
    return tuple(f"warning: {warning}" for warning in quotas.check(lab, wanted, _planned(lab, wanted)))


def _planned(lab: Lab, wanted: Overrides) -> Plan:
    known = challengers(lab)
    shares = canary.shares(lab, wanted, known)
    stands = places.state(lab.folder)
    return layout(lab.name, lab.resolved, lab.identity.seed, wanted, known, devices.known(lab), shares, stands)


def _fresh(old: Plan, new: Plan) -> list[tuple[str, str]]:
    """Versions that callers are to be sent to and that the gateway did not name before."""
    known = {route.model: route.versions for route in old.routes}
    return [
        (route.model, backend.version)
        for route in new.routes
        for backend in route.backends
        if backend.version and backend.weight and backend.version not in known.get(route.model, frozenset())
    ]


def publish(lab: Lab, scenario: Scenario) -> None:
    """Write the scenario as resolved, for control."""
    write_model(lab.folder.scenario, scenario)


def _await_loaded(lab: Lab, scenario: Scenario, models: list[str]) -> None:
    def loaded() -> bool:
        metrics = lab.control.text("/metrics")
        feed = ReleaseFeed.model_validate(lab.control.get("/releases"))
        for name in models:
            kind = ReleaseKind.TABLE if scenario.model(name).mode is Mode.BATCH else ReleaseKind.ONNX
            wanted = [r.id for r in feed.releases if r.model == name and r.kind is kind]
            if not wanted or not all(f'release="{release}"' in metrics for release in wanted):
                return False
        return True

    _wait(loaded, f"the servers did not load {', '.join(models)} within {LOADED_WITHIN_S:.0f} s")


def _await_in_pool(lab: Lab, scenario: Scenario, old: Plan, models: list[str]) -> None:
    """Until servers that run have what comes to them; those that are yet to start load it before they are asked.

    Those of a second region load it when its files have arrived there, and nobody waits for that.
    """
    running: dict[str, dict[str, int]] = {}
    for unit in old.units:
        if old.regions and unit.region == old.regions.other:
            continue
        running.setdefault(unit.pool, {})[unit.name] = unit.replicas
    awaited = [scenario.model(name) for name in models if scenario.model(name).pool in running]

    def loaded() -> bool:
        found = _LOADED.findall(lab.control.text("/metrics"))
        return all(
            found.count((m.name, unit)) >= min(replicas, m.replicas)
            for m in awaited
            for unit, replicas in running[m.pool].items()
        )

    if awaited:
        names = ", ".join(m.name for m in awaited)
        _wait(loaded, f"the servers did not load {names} within {LOADED_WITHIN_S:.0f} s")


def _await_ready(lab: Lab, versions: list[tuple[str, str]]) -> None:
    """Callers are sent to a version only when every replica that is asked says that it can answer.

    Raises:
        UnavailableError: a replica refuses it; the message says why.
    """
    if versions:
        lab.control.post("/releases/reconcile", {})
    for model, version in versions:
        for _ in range(2 * lab.scenario.model(model).replicas):
            try:
                lab.client().get(f"/v2/models/{model}/versions/{version}/ready")
            except (NotFoundError, UnavailableError) as error:
                raise UnavailableError(
                    f"Version {version} of {model} can't answer, so nobody is sent there: {error.message}",
                    f"See: archlab models show {model}, archlab logs {lab.scenario.model(model).pool}",
                ) from None


def _wait(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + LOADED_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{failure[0].upper()}{failure[1:]}.", "See: archlab status, archlab logs control")
        time.sleep(0.1)
