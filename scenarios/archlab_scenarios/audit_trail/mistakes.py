"""What the usual misconceptions lead to, for the variant at hand; None where the variant leaves nothing to go wrong."""

from __future__ import annotations

from archlab.policy.audit import CHAMPION
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.audit_trail import consequences, logs, traces


def all_but_the_edited(evidence: Evidence, _variant: Variant) -> int | None:
    """Every record but the edited one."""
    return _unless_right(evidence, len(traces.found(evidence)) - 1)


def all_before_it(evidence: Evidence, _variant: Variant) -> int | None:
    """Whatever was written before the edited one."""
    return _unless_right(evidence, traces.before(evidence).sequence - 1)


def up_to_the_last_head(evidence: Evidence, _variant: Variant) -> int | None:
    """Everything that a head was kept after."""
    return _unless_right(evidence, max(a.sequence for a in traces.heads(evidence)))


def _unless_right(evidence: Evidence, answer: int) -> int | None:
    return answer if answer != len(traces.still_proven(evidence)) else None


def only_the_edited_one(evidence: Evidence, _variant: Variant) -> float | None:
    """Only answers of the model that the edited record is about."""
    return _share(evidence, {traces.before(evidence).query.resource.name})


def by_replayed_requests(evidence: Evidence, variant: Variant) -> float | None:
    """Counts replayed requests, whatever each of them stands for."""
    day = logs.last_day(evidence)
    if day is None:
        return None
    requests, proven = {s.model: s.requests for s in day.models}, traces.still_proven(evidence)
    doubtful = [m for m in requests if traces.live_at_start(evidence, m).sequence not in proven]
    share = 100 * sum(requests[m] for m in doubtful) / sum(requests.values())
    return _unless_near(evidence, variant, share)


def _share(evidence: Evidence, models: set[str]) -> float | None:
    day = logs.last_day(evidence)
    if day is None:
        return None
    answers = logs.asked(evidence, day)
    return _unless_near(evidence, evidence.variant, 100 * sum(answers[m] for m in models) / sum(answers.values()))


def _unless_near(evidence: Evidence, variant: Variant, share: float) -> float | None:
    right = logs.answers_in_doubt(evidence, variant).answer
    return share if right is None or abs(share - right) > 0.05 * right else None


def the_exchanged_never(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """Both pass: the file is not looked at again."""
    return _unless_so(evidence, ["forward", "back"])


def nothing_passes(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """A model with a tampered version is frozen as a whole."""
    return _unless_so(evidence, ["none"])


def _unless_so(evidence: Evidence, answer: list[str]) -> list[str] | None:
    right = consequences.which_moves_pass(evidence, evidence.variant).answer
    return answer if right is None or sorted(right) != sorted(answer) else None


def whole_interval(evidence: Evidence, _variant: Variant) -> float:
    """Takes every incident to fall at the end of the interval."""
    return consequences.hours(evidence, average=1.0)


def changes_of_a_day(evidence: Evidence, _variant: Variant) -> float:
    """Takes changes per day for changes per hour."""
    return consequences.hours(evidence, changes_per=1.0)


def put_back(evidence: Evidence, _variant: Variant) -> bool:
    """The edited record was edited again."""
    return traces.now(evidence) == traces.before(evidence)


def file_only(evidence: Evidence, _variant: Variant) -> bool:
    """Only the model of the exchanged file was decided on since."""
    later = [d for d in evidence.decisions if d.sequence > traces.report(evidence).records and d.decision.allow]
    models = {d.query.resource.name for d in later if d.query.action == CHAMPION}
    file, record = traces.done(evidence, traces.FILE).model, traces.before(evidence).query.resource.name
    return not put_back(evidence, evidence.variant) and file in models and record not in models
