"""What the decision log says of versions and models on their way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archlab.policy import chain
from archlab.policy.lifecycle import from_records, notice, state_of, sunset_of
from archlab.spec.policy import Decision, DecisionRecord, PolicyResource, Query, Standing, Subject

NOW = datetime(2013, 11, 6, 8, tzinfo=UTC)
SUNSET = datetime(2013, 12, 21, tzinfo=UTC)


class Log:
    """A decision log in memory."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def add(self, verb: str, version: str = "", *, allow: bool = True, days: int = 0, **evidence: Any) -> None:
        action = verb if "/" in verb else f"lifecycle/{verb}"
        when = NOW + timedelta(days=days)
        query = Query(
            subject=Subject(user="ada", team="operations", roles=("developer",)),
            action=action,
            resource=PolicyResource(kind="x", name="gate-delay", version=version),
            evidence={"model_created": "1", **evidence},
            time=when,
        )
        decision = Decision(allow=allow, reasons=(), engine="embedded", bundle_digest="b")
        previous = self.records[-1] if self.records else None
        self.records.append(chain.append(previous, query, decision, wall_time=when, business_time=when))

    def deprecate(self, version: str = "", *, days: int = 0, sunset: datetime = SUNSET) -> None:
        self.add("deprecate", version, days=days, sunset=sunset.isoformat())

    @property
    def standings(self) -> list[Standing]:
        return from_records(self.records)


def test_a_version_is_deprecated_reinstated_and_retired() -> None:
    log = Log()
    assert state_of(log.standings, "2") == ""
    log.deprecate("2")
    assert state_of(log.standings, "2") == "deprecated"
    assert state_of(log.standings, "1") == state_of(log.standings, "") == ""
    log.add("reinstate", "2")
    assert log.standings == []
    log.deprecate("2")
    log.add("retire", "2", reason="replaced")
    (standing,) = log.standings
    assert (standing.state, standing.version, standing.reason, standing.by) == ("retired", "2", "replaced", "ada")


def test_of_a_model_as_a_whole() -> None:
    log = Log()
    log.deprecate()
    assert state_of(log.standings, "") == "deprecated"
    assert state_of(log.standings, "2") == ""
    log.add("retire")
    assert state_of(log.standings, "2") == state_of(log.standings, "") == "retired"


def test_another_sunset_keeps_the_day_of_the_first_announcement() -> None:
    log = Log()
    log.deprecate("2")
    log.deprecate("2", days=3, sunset=SUNSET + timedelta(days=30))
    (standing,) = log.standings
    assert (standing.since, standing.sunset) == (NOW, SUNSET + timedelta(days=30))


def test_callers_are_told_the_nearest_end() -> None:
    log = Log()
    assert notice(log.standings, "gate-delay", "2") is None
    log.deprecate(days=1, sunset=SUNSET + timedelta(days=5))
    log.deprecate("2", days=2)
    for version, ends in (("2", SUNSET), ("3", SUNSET + timedelta(days=5))):
        told = notice(log.standings, "gate-delay", version)
        assert told is not None
        assert told.sunset == ends
    assert notice(log.standings, "other", "2") is None
    assert sunset_of(log.standings, "2") == SUNSET
    assert sunset_of(log.standings, "3") is None


def test_what_was_denied_or_changed_by_hand_does_not_count() -> None:
    log = Log()
    log.add("retire", "2", allow=False)
    log.add("retire", "3")
    resource = log.records[-1].query.resource.model_copy(update={"version": "4"})
    forged = log.records[-1].model_copy(
        update={"query": log.records[-1].query.model_copy(update={"resource": resource})}
    )
    assert from_records([log.records[0], forged]) == []


@pytest.mark.parametrize(("gone", "left"), [("", []), ("2", [""])])
def test_what_is_deleted_leaves_the_list(gone: str, left: list[str]) -> None:
    log = Log()
    log.deprecate()
    log.deprecate("2")
    log.add("retention/delete", gone)
    assert [standing.version for standing in log.standings] == left
