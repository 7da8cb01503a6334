"""The learner's changes of how regions are prepared: a tier's posture, and which tier something is in."""

from __future__ import annotations

from pydantic import ValidationError

from archlab.errors import NotFoundError, UserError
from archlab.lab.changes import apply_overrides
from archlab.lab.clock import parse_span
from archlab.lab.lab import Lab
from archlab.spec.plan import Progress
from archlab.spec.regions import Part, PostureChange, RegionsOverride, Tier

POSTURES = {
    "posture": "posture",
    "replication": "replication",
    "backup-every": "backup_every_s",
    "backup-keep": "backup_keep",
    "check-every": "check_every_ms",
    "failures": "failures_to_detect",
    "promotion": "promotion",
}
"""What a learner sets of a tier, and the change's field."""


def parse_tier(name: str) -> Tier:
    """A tier as typed by the learner.

    Raises:
        UserError: there is none of that name.
    """
    if name not in list(Tier):
        raise UserError(f"There is no tier {name!r}.", f"Tiers: {', '.join(Tier)}.")
    return Tier(name)


def parse_posture(setting: str, value: str) -> PostureChange:
    """A setting of a tier and its value as typed by the learner.

    Raises:
        UserError: an unknown setting, or a value it does not take.
    """
    if setting not in POSTURES:
        raise UserError(f"There is no setting {setting!r}.", f"Settings: {', '.join(POSTURES)}.")
    parsed: object = value
    if setting == "backup-every" and not value.removesuffix("s").isdigit():
        parsed = int(parse_span(value).total_seconds())
    elif setting == "backup-every":
        parsed = value.removesuffix("s")
    try:
        return PostureChange.model_validate({POSTURES[setting]: parsed})
    except ValidationError as error:
        raise UserError(
            f"{setting} can't be {value!r}: {error.errors()[0]['msg']}.", "See: archlab dr set --help"
        ) from None


def change_posture(lab: Lab, tier: Tier, change: PostureChange, progress: Progress) -> tuple[str, ...]:
    """Change how a tier is prepared for the loss of a region; returns what changed, in words.

    Raises:
        UserError: the lab has no regions.
    """
    held = lab.overrides.regions or RegionsOverride()
    before = held.tiers.get(tier, PostureChange())
    merged = before.model_copy(update=change.model_dump(exclude_none=True))
    return _change_regions(lab, held.model_copy(update={"tiers": {**held.tiers, tier: merged}}), progress)


def assign_tier(lab: Lab, name: str, tier: Tier, progress: Progress) -> tuple[str, ...]:
    """Put a model, or a part of the platform, into a tier; returns what changed, in words.

    Raises:
        UserError: the lab has no regions, or nothing of that name.
    """
    held = lab.overrides.regions or RegionsOverride()
    if name in list(Part):
        wanted = held.model_copy(update={"parts": {**held.parts, Part(name): tier}})
    elif name in {m.name for m in lab.declared.models}:
        wanted = held.model_copy(update={"models": {**held.models, name: tier}})
    else:
        known = (*Part, *(m.name for m in lab.declared.models))
        raise NotFoundError(f"There is nothing called {name!r} to give a tier.", f"Known: {', '.join(known)}.")
    return _change_regions(lab, wanted, progress)


def _change_regions(lab: Lab, wanted: RegionsOverride, progress: Progress) -> tuple[str, ...]:
    return apply_overrides(lab, lab.overrides.model_copy(update={"regions": wanted}), progress)
