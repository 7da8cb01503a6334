"""The learner's changes: edit overrides, plan again, apply the difference, without failing a request."""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import ValidationError

from archlab.errors import NotFoundError, UnavailableError, UserError
from archlab.files import write_model
from archlab.lab.clock import parse_span
from archlab.lab.lab import Lab
from archlab.lab.work import run_batch
from archlab.plan.layout import diff, layout
from archlab.plan.resolve import override
from archlab.spec.plan import Progress
from archlab.spec.release import ReleaseFeed, ReleaseKind
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario

LOADED_WITHIN_S = 30.0


def parse_change(setting: str, value: str) -> ModelOverride:
    """A setting and its value as typed by the learner.

    Raises:
        UserError: an unknown setting, or a value it does not take.
    """
    fields = {"mode": "mode", "replicas": "replicas", "batch-every": "batch_every", "canary": "canary_percent"}
    if setting not in fields:
        raise UserError(f"There is no setting {setting!r}.", f"Settings: {', '.join(fields)}.")
    parsed = parse_span(value) if setting == "batch-every" else value
    try:
        return ModelOverride.model_validate({fields[setting]: parsed})
    except ValidationError as error:
        raise UserError(
            f"{setting} can't be {value!r}: {error.errors()[0]['msg']}.", "See: archlab set --help"
        ) from None


def change_model(lab: Lab, model: str, change: ModelOverride, progress: Progress) -> tuple[str, ...]:
    """Change one model; returns what changed, in words.

    A model that goes to batch gets its first run and its table before the gateway sends callers there; one that goes
    online is loaded before. What it leaves is retired last.

    Raises:
        NotFoundError: there is no such model.
    """
    if model not in {m.name for m in lab.declared.models}:
        known = ", ".join(m.name for m in lab.declared.models)
        raise NotFoundError(f"There is no model {model!r} in this lab.", f"Models: {known}.")
    before = lab.overrides
    merged = before.models.get(model, ModelOverride()).model_copy(update=change.model_dump(exclude_none=True))
    return apply_overrides(lab, before.model_copy(update={"models": {**before.models, model: merged}}), progress)


def route_challengers(lab: Lab, progress: Progress) -> None:
    """Plan again after alias `challenger` moved, so that a canary's share goes to the version that holds it."""
    apply_overrides(lab, lab.overrides, progress)


def apply_overrides(lab: Lab, wanted: Overrides, progress: Progress) -> tuple[str, ...]:
    """Make the lab what the overrides say; returns what changed, in words."""
    old_plan, old_scenario = lab.plan, lab.scenario
    scenario = override(lab.resolved, wanted)
    plan = layout(lab.name, lab.resolved, lab.identity.seed, wanted, challengers(lab))
    moved = [m.name for m in scenario.models if m.mode != old_scenario.model(m.name).mode]
    for name in moved:
        if scenario.model(name).mode is Mode.BATCH:
            progress(name, "first batch run")
            run_batch(lab, name, progress)
    write_model(lab.folder.overrides, wanted)
    publish(lab, scenario)
    write_model(lab.folder.plan, plan)
    lab.control.post("/releases/reconcile", {})
    _await_loaded(lab, scenario, moved)
    lab.target.apply(plan, progress)
    lab.control.post("/releases/reconcile", {"retire": True})
    return diff(old_plan, plan)


def challengers(lab: Lab) -> dict[str, str]:
    """Version under alias `challenger`, per model that has one."""
    found = lab.registry().get("/registered-models/search?max_results=200").get("registered_models", [])
    aliases = {m["name"]: {a["alias"]: str(a["version"]) for a in m.get("aliases", [])} for m in found}
    return {name: held["challenger"] for name, held in aliases.items() if "challenger" in held}


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


def _wait(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + LOADED_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{failure[0].upper()}{failure[1:]}.", "See: archlab status, archlab logs control")
        time.sleep(0.1)
