"""Champions and canary shares, read from a decision log."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from archlab.policy import chain
from archlab.policy.audit import CANARY, CHAMPION
from archlab.policy.traffic import REMOVE_CHAMPION, permitted, shares, tenures
from archlab.spec.policy import Decision, DecisionRecord, PolicyResource, Query, Subject
from policy_queries import NOW

DELETE = "retention/delete"


def digest(version: str) -> str:
    return version * 64


class Log:
    """A log of one model, a business day for each record."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def add(self, action: str, version: str, *, allow: bool = True, sha256: str = "", **evidence: object) -> None:
        query = Query(
            subject=Subject(user="ops", team="platform", roles=("operator",)),
            action=action,
            resource=PolicyResource(kind="model-version", name="m", version=version, digest=sha256 or digest(version)),
            evidence=evidence,
            time=NOW,
        )
        decision = Decision(allow=allow, reasons=(), engine="test", bundle_digest="")
        previous = self.records[-1] if self.records else None
        when = day(len(self.records))
        self.records.append(chain.append(previous, query, decision, wall_time=when, business_time=when))

    def promote(self, versions: str) -> Log:
        for version in versions:
            self.add(CHAMPION, version)
        return self


def day(number: int) -> datetime:
    return NOW + timedelta(days=number)


@pytest.mark.parametrize(
    ("promoted", "standing", "withdrawn"),
    [
        ("", "", ""),
        ("1", "1", ""),
        ("12", "12", ""),
        ("121", "1", "2"),
        ("1232", "12", "3"),
        ("12313", "13", "2"),
        ("1123", "123", ""),
        ("1212", "12", ""),
    ],
)
def test_a_return_withdraws_what_came_after(promoted: str, standing: str, withdrawn: str) -> None:
    found = tenures(Log().promote(promoted).records)
    assert "".join(t.version for t in found if not t.withdrawn) == standing
    assert {t.version for t in found if t.withdrawn} == set(withdrawn)
    assert [t.version for t in found if t.until is None] == list(promoted[-1:])


def test_a_champion_is_replaced_when_another_is_let_through() -> None:
    log = Log().promote("1")
    log.add(CHAMPION, "2", allow=False)
    log.promote("2")
    assert [(t.since, t.until) for t in tenures(log.records)] == [(day(0), day(2)), (day(2), None)]


def test_a_champion_ends_with_its_alias_and_is_forgotten_with_its_version() -> None:
    log = Log().promote("12")
    log.add(REMOVE_CHAMPION, "", operation="Deleting the alias champion")
    assert [t.until for t in tenures(log.records)] == [day(1), day(2)]
    log.add(DELETE, "1")
    assert [t.version for t in tenures(log.records)] == ["2"]
    log.add(DELETE, "")
    assert tenures(log.records) == []


def test_another_file_is_another_champion() -> None:
    log = Log().promote("1")
    log.add(CHAMPION, "1", sha256="f" * 64)
    assert [(t.digest, t.until is None) for t in tenures(log.records)] == [(digest("1"), False), ("f" * 64, True)]


def test_a_record_that_was_changed_makes_nobody_champion() -> None:
    log = Log().promote("12")
    forged = log.records[0].model_copy(update={"business_time": day(9)})
    assert [t.version for t in tenures([forged, log.records[1]])] == ["2"]


def test_the_newest_share_counts_for_its_file() -> None:
    log = Log()
    log.add(CANARY, "2", percent=10)
    log.add(CANARY, "2", percent=50)
    log.add(CANARY, "2", percent=100, allow=False)
    log.add(CANARY, "3", percent=5)
    log.add(CANARY, "4", percent="all")
    found = shares(log.records)
    assert [permitted(found, version, digest(version)) for version in "234"] == [50, 5, 0]
    assert permitted(found, "2", "f" * 64) == 0
    log.add(CANARY, "2", percent=0)
    assert permitted(shares(log.records), "2", digest("2")) == 0
    log.add(DELETE, "3")
    assert permitted(shares(log.records), "3", digest("3")) == 0
