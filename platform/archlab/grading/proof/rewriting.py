"""Registered candidates as another seed's variant declares them: their claims, who asked, who approved.

What a candidate's declaration changes is rewritten from its model's trained version, by the arithmetic that registered
it. Which version is champion, and who was promoted, stays as it was recorded: that can't change without a lab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archlab.plan import candidates as claims
from archlab.registry import evidence as gate
from archlab.registry.facts import fingerprint
from archlab.spec.candidates import Candidate
from archlab.spec.grading import VersionFacts
from archlab.spec.scenario import Scenario

CLAIMED = ("baseline", "code_version", "data_digest", "evaluated_at", "parity_max_abs_diff", "metric_value")
APPROVAL = (gate.APPROVED_BY, gate.APPROVED_AT, gate.APPROVED_EVIDENCE)


def rewritten(versions: Sequence[VersionFacts], was: Scenario, now: Scenario) -> tuple[VersionFacts, ...]:
    """Versions with every candidate whose declaration differs made as `now` declares it."""
    before = {c.name: c for c in was.candidates}
    after = {c.name: c for c in now.candidates}
    changed = {name for name in after if before.get(name) not in (None, after[name])}
    return tuple(
        _Maker(after[name], claims.trained(versions, v.model), now).facts(v)
        if (name := v.tags.get(claims.NAME, "")) in changed
        else v
        for v in versions
    )


@dataclass(frozen=True, slots=True)
class _Maker:
    candidate: Candidate
    base: VersionFacts
    scenario: Scenario

    def facts(self, recorded: VersionFacts) -> VersionFacts:
        """The recorded version with other claims; file, run and place among the versions stay."""
        kept = {k: v for k, v in recorded.tags.items() if k not in (claims.REQUESTED_BY, gate.HOLD, *APPROVAL)}
        tags = {**kept, gate.AUTHOR: self.candidate.registered_by or self.scenario.trainer, **self._claims()}
        tags = {k: v for k, v in tags.items() if k not in claims.left_out(self.candidate)}
        if self.candidate.approved_by:
            approved = recorded.model_copy(update={"tags": tags, "metrics": self._metrics(amended=False)})
            tags |= self._approval(fingerprint(approved), self.scenario.starts)
        if self.candidate.hold:
            tags[gate.HOLD] = self.candidate.hold
        update = {
            "tags": tags,
            "metrics": self._metrics(amended=True),
            "author": tags[gate.AUTHOR],
            "approved_by": self.candidate.approved_by,
        }
        return recorded.model_copy(update=update)

    def _claims(self) -> dict[str, str]:
        tags = {key: self.base.tags[key] for name in CLAIMED if (key := f"archlab.{name}") in self.base.tags}
        claimed = {
            "archlab.data_digest": claims.data_digest(self.candidate, self.base.tags["archlab.data_digest"]),
            "archlab.evaluated_at": claims.evaluated_at(self.candidate, self.scenario.starts).isoformat(),
            "archlab.metric_value": repr(self._value(amended=False)),
            **claims.own_tags(self.candidate),
        }
        if self.candidate.parity_max_abs_diff:
            claimed["archlab.parity_max_abs_diff"] = repr(self.candidate.parity_max_abs_diff)
        return {**tags, **claimed}

    def _metrics(self, *, amended: bool) -> dict[str, float]:
        found = {**self.base.metrics, self.base.tags["archlab.metric"]: self._value(amended=amended)}
        if self.candidate.holdout_rows:
            found["holdout_rows"] = float(self.candidate.holdout_rows)
        if self.candidate.parity_max_abs_diff:
            found["parity_max_abs_diff"] = self.candidate.parity_max_abs_diff
        return found

    def _value(self, *, amended: bool) -> float:
        higher = self.base.tags["archlab.higher_is_better"] == "true"
        value = self.base.metrics[self.base.tags["archlab.metric"]]
        return claims.value(self.candidate, value, higher_is_better=higher, amended=amended)

    def _approval(self, evidence: str, when: datetime) -> dict[str, str]:
        return dict(zip(APPROVAL, (self.candidate.approved_by, when.isoformat(), evidence), strict=True))
