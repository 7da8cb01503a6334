"""Champion and challenger from logs and labels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.control import clock
from archlab.control.comparison import comparison
from archlab.control.comparison_rows import Rows
from archlab.control.store import Store
from archlab.spec.comparison import Comparison, VersionTraffic
from archlab.spec.release import Release
from archlab.spec.scenario import Scenario
from archlab_scenarios.airline.cards import CARDS
from prediction_lines import ASKED, ASKED_US, MODEL, Kept, line

FEW, MANY = 300, 12_000


def release(version: str, role: str) -> Release:
    digest = "0" * 64
    return Release.model_validate(
        {
            "id": f"{MODEL}:{version}",
            "model": MODEL,
            "version": version,
            "team": "operations",
            "kind": "onnx",
            "pool": "online",
            "sha256": digest,
            "path": f"blobs/{digest}",
            "size_bytes": 1,
            "decision_id": "d",
            "decision_sha256": digest,
            "source_sha256": digest,
            "columns": (),
            "keys": (),
            "role": role,
            "created": datetime(2026, 1, 1, tzinfo=UTC),
            "signature": "",
        }
    )


class Lab:
    """Logs, labels and a clock."""

    def __init__(self, root: Path, scenario: Scenario) -> None:
        self.kept = Kept(root)
        self._store = Store(self.kept.control)
        clock.start(self._store, scenario)
        self.set_clock(ASKED_US + 10)
        self._scenario = scenario
        self.releases = [release("1", "champion"), release("2", "challenger")]

    def set_clock(self, now_us: int) -> None:
        with self._store.write() as db:
            db.execute("UPDATE clock SET now_us = ?", (now_us,))

    def label(self, subject: str, actual: float, known_us: int = ASKED_US + 5) -> None:
        with self._store.write() as db:
            db.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?, NULL)", (MODEL, subject, ASKED_US, known_us, actual))

    def compare(self, since: datetime | None = None, model: str = MODEL) -> Comparison:
        self.kept.take_in()
        with self.kept.predictions.read(self.kept.control) as db:
            return comparison(db, self._scenario.model(model), CARDS[model], self.releases, since)

    def close(self) -> None:
        self.kept.predictions.close()
        self._store.close()


@pytest.fixture
def lab(tmp_path: Path, scenario: Scenario) -> Iterator[Lab]:
    found = Lab(tmp_path, scenario)
    yield found
    found.close()


def side(found: Comparison, version: str, traffic: str = "live") -> VersionTraffic:
    (chosen,) = (v for v in found.versions if (v.version, v.traffic) == (version, traffic))
    return chosen


def flights(lab: Lab, count: int) -> list[tuple[str, float]]:
    """Subjects with their outcomes, a third of them late."""
    chance = random.Random(7)
    made = [(f"F{n}", float(chance.random() < 1 / 3)) for n in range(count)]
    for subject, actual in made:
        lab.label(subject, actual)
    return made


def noisy(chance: random.Random, actual: float, skill: float) -> list[float]:
    return [min(1.0, max(0.0, 0.5 + skill * (actual - 0.5) + chance.gauss(0, 0.3)))]


def test_twelve_thousand_requests_about_three_hundred_flights_are_three_hundred(lab: Lab) -> None:
    chance, known = random.Random(1), flights(lab, FEW)
    predicted = {(s, v): noisy(chance, actual, 0.3) for s, actual in known for v in "12"}
    for n in range(MANY):
        subject, _ = known[n % FEW]
        version = "2" if n % 10 == 0 else "1"
        lab.kept.append(line(n, subject, version=version, prediction=predicted[subject, version]))
    found = lab.compare()
    ours, theirs = side(found, "1"), side(found, "2")
    assert (ours.requests, theirs.requests) == (0.9 * MANY, 0.1 * MANY)
    assert (ours.subjects, theirs.subjects) == (270, 30)
    assert theirs.labelled_subjects == 30
    assert theirs.role == "challenger"
    assert found.canary is not None
    assert found.canary.verdict == "not told apart"
    assert found.canary.difference is not None
    assert found.canary.difference.high - found.canary.difference.low > 0.2
    assert "1,200 requests about 30 flights went to version 2" in found.conclusions[0]


def test_what_the_clock_does_not_know_yet_is_no_label(lab: Lab) -> None:
    lab.label("F1", 1.0, known_us=ASKED_US + 5)
    lab.label("F2", 0.0, known_us=ASKED_US + 50)
    lab.kept.append(line(1), line(2))
    assert side(lab.compare(), "1").labelled_subjects == 1
    lab.set_clock(ASKED_US + 50)
    assert side(lab.compare(), "1").labelled_subjects == 2


def test_failures_count_beside_answers(lab: Lab) -> None:
    lab.kept.append(line(1), line(2, version="2", status=400, prediction=[]), line(3, version="2", us=7000))
    theirs = side(lab.compare(), "2")
    assert (theirs.requests, theirs.errors, theirs.subjects) == (2, 1, 2)
    assert (theirs.p50_ms, theirs.p99_ms) == (7.0, 7.0)


def test_the_champion_counts_from_the_challengers_first_request_on(lab: Lab) -> None:
    lab.kept.append(*(line(n) for n in range(10)), *(line(n, version="2") for n in (10, 12)), line(11))
    found = lab.compare()
    assert (side(found, "1").requests, side(found, "2").requests) == (1, 2)
    assert found.since == datetime(2026, 1, 1, 0, 0, 10, 500_000, tzinfo=UTC)
    chosen = lab.compare(since=datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC))
    assert (side(chosen, "1").requests, side(chosen, "2").requests) == (6, 2)
    later = lab.compare(since=datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC))
    assert [v.version for v in later.versions] == ["2"]


def test_a_shadow_is_paired_with_what_callers_got(lab: Lab) -> None:
    chance = random.Random(2)
    for n, (subject, actual) in enumerate(flights(lab, FEW)):
        ours = noisy(chance, actual, 0.6)
        lab.kept.append(line(n, subject, prediction=ours, us=1000))
        lab.kept.append(line(n, subject, shadow=True, prediction=[1 - ours[0]], us=3000), log="online-1.jsonl")
    found = lab.compare()
    assert found.mirrored is not None
    assert (found.mirrored.pairs, found.mirrored.subjects) == (FEW, FEW)
    assert found.mirrored.correlation == pytest.approx(-1)
    assert found.mirrored.latency_difference_ms == 2.0
    assert found.mirrored.differing is not None
    assert found.mirrored.differing > 0.3
    assert "threshold of 0.3" in found.mirrored.differing_rule
    assert found.canary is None
    assert found.shadow is not None
    assert (found.shadow.verdict, found.shadow.labelled_subjects) == ("worse", FEW)
    quality = side(found, "1").quality, side(found, "2", "shadow").quality
    assert quality[0] is not None
    assert quality[1] is not None
    assert quality[0].value == pytest.approx(1 - quality[1].value)
    assert side(found, "1").requests == FEW


def test_the_answer_at_the_questions_own_moment_counts(lab: Lab) -> None:
    own = f"{MODEL}/F1/{ASKED}"
    lab.label("F1", 1.0)
    lab.label("F2", 0.0)
    lab.kept.append(line(1, "F1", prediction=[0.9], correlation_id=own), line(2, "F2", prediction=[0.1]))
    lab.kept.append(line(3, "F1", prediction=[0.0]), line(4, "F2", prediction=[0.5]))
    lab.kept.take_in()
    with lab.kept.predictions.read(lab.kept.control) as db:
        found = Rows(db, MODEL, ASKED_US + 10).labelled("1", "live", 0)
    assert dict(zip(found.subjects, found.predictions, strict=True)) == {"F1": 0.9, "F2": 0.5}


@pytest.mark.parametrize(
    ("model", "rule", "differing"),
    [("arrival-delay", "tolerance of 12", 1 / 3), ("route-segments", "another group", 2 / 3)],
)
def test_what_makes_a_difference_is_the_callers_rule(lab: Lab, model: str, rule: str, differing: float) -> None:
    for n, (ours, theirs) in enumerate(((0.0, 0.0), (0.0, 11.0), (0.0, 13.0))):
        lab.kept.append(line(n, model=model, prediction=[ours]), line(n, shadow=True, model=model, prediction=[theirs]))
    lab.releases = [release("1", "champion").model_copy(update={"model": model})]
    found = lab.compare(model=model).mirrored
    assert found is not None
    assert rule in found.differing_rule
    assert found.differing == pytest.approx(differing)
    assert (found.abs_difference_max is None) == (model == "route-segments")


def test_after_a_rollback_the_version_that_is_gone_is_still_compared(lab: Lab) -> None:
    lab.releases = [release("1", "champion")]
    lab.kept.append(line(1, version="3"), line(2, version="2"), line(3))
    found = lab.compare()
    assert (found.champion, found.challenger) == ("1", "2")
    assert side(found, "2").role == ""


def test_nothing_at_all_is_no_error(lab: Lab) -> None:
    lab.releases = []
    found = lab.compare()
    assert (found.versions, found.champion, found.challenger, found.since) == ((), "", "", None)
    assert len(found.conclusions) == 1


def test_a_pair_of_one_version_is_no_pair(lab: Lab) -> None:
    lab.kept.append(*(line(n, version="2") for n in range(3)), *(line(n, shadow=True) for n in range(3)))
    found = lab.compare()
    assert found.mirrored is not None
    assert found.mirrored.pairs == 0
    assert found.mirrored.abs_difference_mean is None
