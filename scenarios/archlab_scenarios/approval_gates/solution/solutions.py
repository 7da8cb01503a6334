"""One way to answer every question, worked out by other means than the truths.

Written against evidence and variant, never against a seed. Plain functions answer from an untouched lab; generators
yield commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.scenario import Variant

Script = Generator[str, Evidence, Any]

PREPARE = ()

LAB = "$ARCHLAB_HOME/$ARCHLAB_LAB_NAME"
RULES = ("comparable-evidence", "requested-by-another")


def _rule(name: str) -> str:
    return (Path(__file__).parent / "answers" / f"{name}.rego").read_text()


def _list(evidence: Evidence) -> dict[str, VersionFacts]:
    """The twelve by name, in their order; two of the declared ones are no candidates any more."""
    by_name = {v.tags["archlab.candidate"]: v for v in evidence.versions if "archlab.candidate" in v.tags}
    return {c.name: by_name[c.name] for c in evidence.scenario.candidates if not c.promoted}


def _live(evidence: Evidence, model: str) -> VersionFacts:
    return next(v for v in evidence.versions if v.model == model and "champion" in v.aliases)


def _figure(version: VersionFacts) -> float:
    """The metric, turned so that more is better."""
    found = version.metrics[version.tags["archlab.metric"]]
    return found if version.tags["archlab.higher_is_better"] == "true" else -found


def _ready(evidence: Evidence, version: VersionFacts) -> bool:
    """Whether all is in order but the comparison with a champion, by what the scenario declares of it."""
    declared = next(c for c in evidence.scenario.candidates if c.name == version.tags["archlab.candidate"])
    return (
        declared.evaluated_before.days <= 30
        and declared.parity_max_abs_diff <= 0.001
        and (declared.holdout_rows or 1000) >= 100
        and bool(version.approved_by)
        and not declared.amended_percent
    )


def gets_through(evidence: Evidence, _variant: Variant) -> Script:
    """Go through the list; whoever is let through raises the bar for the next one of its model. Then ask."""
    waiting = _list(evidence)
    bar = {v.model: _figure(_live(evidence, v.model)) for v in waiting.values()}
    passed = 0
    for version in waiting.values():
        if _ready(evidence, version) and _figure(version) > bar[version.model]:
            bar[version.model] = _figure(version)
            passed += 1
    yield f"archlab answer gets-through -- {passed}"
    for version in waiting.values():
        yield f"archlab promote {version.model} {version.version} || true"
    return passed


def in_the_freeze(evidence: Evidence, variant: Variant) -> Script:
    """New versions wait, challengers don't, and back is possible where there is a back."""
    name = str(variant.chosen["emergency"])
    version = _list(evidence)[name]
    declared = next(c for c in evidence.scenario.candidates if c.name == name)
    forecast = []
    age = declared.evaluated_before + timedelta(days=1)
    if declared.parity_max_abs_diff <= 0.001 and age <= timedelta(days=30):
        forecast.append("challenger")
    if any(c.promoted and c.model == version.model for c in evidence.scenario.candidates):
        forecast.append("former")
    yield f"archlab answer in-the-freeze {','.join(forecast or ['none'])}"
    yield "archlab clock advance 1d"
    yield f"archlab promote {version.model} {version.version} || true"
    yield f"archlab promote {version.model} {version.version} --alias challenger || true"
    if "former" in forecast:
        yield f"archlab rollback {version.model}"
    return forecast or ["none"]


def two_people(_evidence: Evidence, variant: Variant) -> list[str]:
    """Nobody is named behind the first versions; of the two others the seed says who asked and who approved."""
    lacking = ["firsts"]
    if not variant.chosen["flight-first-asked"]:
        lacking.append("flight-first")
    if variant.chosen["cancel-first-approver"] == "care-lead":
        lacking.append("cancel-first")
    return lacking


def _written(name: str, text: str) -> str:
    """A command that puts a rule into the lab's folder."""
    rule = name.replace("-", "_")
    folder = f"{LAB}/policies/promotion/{rule}"
    return f"mkdir -p {folder} && printf '%s' '{text}' > {folder}/{rule}.rego"


def _asked_from_the_worst(evidence: Evidence) -> Iterator[str]:
    """Every candidate, so that each that is let through can still be beaten by a better one."""
    for version in sorted(_list(evidence).values(), key=lambda v: (v.model, _figure(v))):
        yield f"archlab promote {version.model} {version.version} || true"


def _as_at_the_start(evidence: Evidence) -> Iterator[str]:
    """Who was champion once comes back as a rollback: only a new start makes it a candidate again."""
    if any("archlab.promoted_at" in version.tags for version in _list(evidence).values()):
        yield "archlab reset"


def only_the_honest(evidence: Evidence, _variant: Variant) -> Script:
    """From the start: put both rules into force, ask for all."""
    yield from _as_at_the_start(evidence)
    for name in RULES:
        yield _written(name, _rule(name))
    yield "archlab policy apply"
    yield from _asked_from_the_worst(evidence)


def lets_flawed_through(evidence: Evidence, _variant: Variant) -> Script:
    """Asks for all under the rules as shipped."""
    yield from _asked_from_the_worst(evidence)


def refuses_honest(evidence: Evidence, _variant: Variant) -> Script:
    """A rule that wants everybody to be asked for by nobody."""
    yield from _as_at_the_start(evidence)
    yield _written(RULES[0], _rule(RULES[0]))
    yield _written(RULES[1], _rule(RULES[1]).replace("requester != robot", "requester == robot"))
    yield "archlab policy apply"
    yield from _asked_from_the_worst(evidence)


def margin_for_luck(evidence: Evidence, variant: Variant) -> float:
    """Widen the margin until the chance that none of them reaches it is 95 %."""
    rows = _live(evidence, str(variant.chosen["judged"])).metrics["holdout_rows"]
    spread = float(variant.chosen["scatter"]) / math.sqrt(rows / 1000)
    low, high = 0.0, 10 * spread
    for _ in range(80):
        margin = (low + high) / 2
        below = 0.5 * (1 + math.erf(margin / spread / math.sqrt(2)))
        low, high = (margin, high) if below ** int(variant.chosen["tries"]) < 0.95 else (low, margin)
    return low


def last_hour(evidence: Evidence, variant: Variant) -> float:
    """Walk the hours and keep the last one at which both rules agree."""
    evaluated = datetime.fromisoformat(_list(evidence)[str(variant.chosen["urgent"])].tags["archlab.evaluated_at"])
    start, last = evidence.scenario.starts, 0
    for hour in range(31 * 24):
        now = start + timedelta(hours=hour)
        if now - evaluated <= timedelta(days=30) and not (now.month == 12 and 23 <= now.day <= 26):
            last = hour
    # the freeze begins at midnight, evidence ends to the minute: the last good hour lasts until the next one begins
    ends = evaluated + timedelta(days=30)
    return float(last if start + timedelta(hours=last) == ends else last + 1)


def approval_holds(_evidence: Evidence, variant: Variant) -> list[str]:
    """The approval is of evidence: tags of the platform and figures, but not who holds or approves it."""
    voids = {"archlab.algorithm", "archlab.requested_by"}
    kept = ["challenger"]
    if str(variant.chosen["edited-tag"]) not in voids:
        kept.append("tag")
    if int(variant.chosen["days-later"]) <= 30:
        kept.append("days")
    return kept


def may_be_deleted(_evidence: Evidence, variant: Variant) -> list[str]:
    """Never champion: at once, unless somebody holds it. Former champion: after thirty days. Champion: no."""
    going = ["never"]
    if not variant.chosen["cancel-b-hold"]:
        going.append("disputed")
    if int(variant.chosen["review-days"]) >= 30:
        going.append("former")
    return going


def smallest_step(evidence: Evidence, variant: Variant) -> str:
    """By what the scenario declares of it."""
    declared = next(c for c in evidence.scenario.candidates if c.name == variant.chosen["refused-one"])
    if declared.parity_max_abs_diff:
        return "new-version"
    if 0 < declared.holdout_rows < 100 or declared.evaluated_before > timedelta(days=30):
        return "measure"
    return "approval" if declared.amended_percent or not declared.approved_by else "nothing"


def first_stopped(_evidence: Evidence, variant: Variant) -> str:
    """By what the attack touches."""
    attack = str(variant.chosen["attack"])
    for word, point in (("registered under", "register"), ("approves", "approve"), ("artifact store", "promote")):
        if word in attack:
            return point
    return "release" if "database" in attack else "server"


def set_aside(_evidence: Evidence, variant: Variant) -> list[str]:
    """Four eyes are never waived, nobody waives for their own; the others by the days that they last."""
    day, days = int(variant.chosen["review-days"]), int(variant.chosen["days-later"])
    stands = ["dated"] if day < 30 else []  # 20 January ends 29 days and 16 hours after the start
    if day < days <= 30:
        stands.append("counted")
    return stands or ["none"]


def past_the_sunset(_evidence: Evidence, variant: Variant) -> list[str]:
    """Callers are answered and told; only an operator ends it, and not before the end of that day."""
    return ["answered", "told"] + (["retire"] if int(variant.chosen["review-days"]) >= 30 else [])


def comparable_evidence(_evidence: Evidence, variant: Variant) -> str:
    """The rule beside this file, with the seed's percent."""
    return re.sub(r"percent := \d+", f"percent := {variant.chosen['fewer-percent']}", _rule("comparable-evidence"))


def other_data_passes(evidence: Evidence, variant: Variant) -> str:
    """Does not compare the digests."""
    return comparable_evidence(evidence, variant).replace("\tversion.data_digest == champion.data_digest\n", "")


def empty_is_alike(evidence: Evidence, variant: Variant) -> str:
    """Takes any text for a digest."""
    return comparable_evidence(evidence, variant).replace("\tregex.match(`^[0-9a-f]{64}$`, text)\n", "")


def no_way_back(evidence: Evidence, variant: Variant) -> str:
    """Holds a rollback to the yardstick."""
    return comparable_evidence(evidence, variant).replace("version.held_champion == true", "version.held_champion == 7")


def requested_by_another(_evidence: Evidence, variant: Variant) -> str:
    """The rule beside this file, with the seed's service account."""
    return re.sub(r'robot := ".*"', f'robot := "{variant.chosen["robot"]}"', _rule("requested-by-another"))


def author_is_the_robot(evidence: Evidence, variant: Variant) -> str:
    """Looks at the author only."""
    return requested_by_another(evidence, variant).replace("\tversion.approved_by != requester\n", "")


def silence_passes(evidence: Evidence, variant: Variant) -> str:
    """Takes the service account for somebody who asks."""
    text = requested_by_another(evidence, variant).replace("\trequester != robot\n", "")
    return text.replace("\tversion.author != robot\n", "")


def everybody_needs_a_tag(evidence: Evidence, variant: Variant) -> str:
    """Who registered in person is not taken for the requester."""
    return requested_by_another(evidence, variant).replace("\tversion.author != robot\n", "\tversion.author == 7\n")
