"""A scenario's candidates brought into a new lab's registry, by the users that are declared, through the gate."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from archlab import identity
from archlab.lab import promotion
from archlab.lab.facts import all_versions
from archlab.lab.lab import Lab
from archlab.lab.work import mlflow_environment, run_job
from archlab.plan import candidates as claims
from archlab.registry.evidence import HOLD, PROMOTED_AT
from archlab.registry.facts import still_approved
from archlab.spec.candidates import Candidate
from archlab.spec.grading import VersionFacts
from archlab.spec.job import Job
from archlab.spec.plan import Progress

TOKENS = "ARCHLAB_TOKENS"


class Step(StrEnum):
    """What happens to a candidate once it is registered."""

    APPROVE = "approve"
    AMEND = "amend"
    HOLD = "hold"
    PROMOTE = "promote"


def plant(lab: Lab, progress: Progress) -> None:
    """Register, approve, amend, hold and promote what the scenario declares; what is done is left as it is.

    Raises:
        RefusedError: the gate does not let a declared step pass.
    """
    declared = lab.resolved.candidates
    if not declared:
        return
    missing = [c for c in declared if c.name not in _registered(all_versions(lab))]
    if missing:
        _register(lab, missing, progress)
    known = all_versions(lab)
    there = _registered(known)
    for candidate in declared:
        progress("candidates", f"evidence of {candidate.name}")
        _carry_out(lab, candidate, there[candidate.name], claims.trained(known, candidate.model))


def waiting(lab: Lab) -> list[dict[str, Any]]:
    """Versions that are not champion and never were, in the order of registration by the scenario, then by model.

    `data` is the beginning of the digest of what a version was measured on; an approval is marked when what was
    approved has changed since.
    """
    versions = all_versions(lab)
    champions = {v.model: v for v in versions if "champion" in v.aliases}
    order = [c.name for c in lab.resolved.candidates]
    found = [v for v in versions if PROMOTED_AT not in v.tags]
    found.sort(key=lambda v: order.index(name) if (name := v.tags.get(claims.NAME, "")) in order else len(order))
    return [_row(v, champions.get(v.model)) for v in found]


def _row(facts: VersionFacts, champion: VersionFacts | None) -> dict[str, Any]:
    tags, metric = facts.tags, facts.tags.get("archlab.metric", "")
    changed = "" if still_approved(facts) or not facts.approved_by else " (changed since)"
    return {
        "candidate": tags.get(claims.NAME, ""),
        "model": facts.model,
        "version": facts.version,
        "metric": metric,
        "claims": facts.metrics.get(metric),
        "champion": champion.metrics.get(metric) if champion else None,
        "rows": int(facts.metrics.get("holdout_rows", 0)),
        "data": tags.get("archlab.data_digest", "")[:8],
        "evaluated": tags.get("archlab.evaluated_at", "")[:10],
        "parity": facts.metrics.get("parity_max_abs_diff"),
        "author": facts.author,
        "asked_by": tags.get(claims.REQUESTED_BY, ""),
        "approved_by": f"{facts.approved_by}{changed}",
        "hold": tags.get(HOLD, ""),
    }


def _registered(versions: Sequence[VersionFacts]) -> dict[str, VersionFacts]:
    return {v.tags[claims.NAME]: v for v in versions if claims.NAME in v.tags}


def _register(lab: Lab, missing: Sequence[Candidate], progress: Progress) -> None:
    who = {c.registered_by or lab.declared.trainer for c in missing}
    tokens = {name: identity.mint(lab.folder, lab.user(name)) for name in sorted(who)}
    environment = {**mlflow_environment(lab, lab.declared.trainer), TOKENS: json.dumps(tokens)}
    names = tuple(c.name for c in missing)
    run_job(lab, Job(name="candidates", module="archlab.pipelines.candidates", args=names, env=environment), progress)


def left_to_do(candidate: Candidate, facts: VersionFacts, amended: float) -> list[Step]:
    """What has not happened yet to a registered candidate, in its order. Pure.

    Args:
        candidate: as declared.
        facts: as the registry has it.
        amended: the metric that it claims after its approval.
    """
    wanted = {
        Step.APPROVE: candidate.approved_by and not facts.approved_by,
        Step.AMEND: candidate.amended_percent and facts.metrics.get(facts.tags["archlab.metric"]) != amended,
        Step.HOLD: candidate.hold and HOLD not in facts.tags,
        Step.PROMOTE: candidate.promoted and PROMOTED_AT not in facts.tags,
    }
    return [step for step, due in wanted.items() if due]


def _carry_out(lab: Lab, candidate: Candidate, facts: VersionFacts, base: VersionFacts) -> None:
    metric = base.tags["archlab.metric"]
    higher = base.tags["archlab.higher_is_better"] == "true"
    amended = claims.value(candidate, base.metrics[metric], higher_is_better=higher, amended=True)
    for step in left_to_do(candidate, facts, amended):
        match step:
            case Step.APPROVE:
                promotion.approve(lab, facts.model, facts.version, user=candidate.approved_by)
            case Step.AMEND:
                body = {"run_id": facts.run_id, "key": metric, "value": amended, "step": 1}
                body["timestamp"] = int(time.time() * 1000)
                lab.registry(candidate.registered_by or lab.declared.trainer).post("/runs/log-metric", body)
            case Step.HOLD:
                held = {"name": facts.model, "version": facts.version, "key": HOLD, "value": candidate.hold}
                lab.registry(identity.PLATFORM.name).post("/model-versions/set-tag", held)
            case Step.PROMOTE:
                promotion.promote(lab, facts.model, facts.version)
