"""Each check of the tour says what is missing, and falls silent once it happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading import tour
from archlab.spec.grading import Evidence
from archlab_scenarios.ten_models import tour_checks as checks
from synthetic import DAY, World, decision, release, ten_models, version


def _lab(*, registered: bool = True, promoted: bool = True, back: bool = False, refused: bool = False) -> Evidence:
    world = World()
    start = world.scenario.starts
    served = 2 if promoted and not back else 1
    versions = [version(1, champion=served == 1)]
    if registered:
        versions.append(version(2, extra=("dep_delay",), champion=served == 2, auc=0.967))
    decisions = [decision(1, 1, start, allow=True)]
    if promoted:
        decisions.append(decision(2, 2, start + DAY, allow=True))
    if back:
        decisions.append(decision(3, 1, start + 2 * DAY, allow=True))
    if refused:
        decisions.append(decision(4, 2, start + 2 * DAY, allow=False, bundle="b2", rule="mine"))
        decisions.append(decision(5, 1, start + 2 * DAY, allow=True, bundle="b2"))
    days = [world.day(0), world.day(1)] if promoted else [world.day(0)]
    return world.evidence(days, versions, [release(served, start)], decisions)


def test_the_steps_are_proven_in_turn(tmp_path: Path) -> None:
    empty = World().evidence(days=[], versions=[version(1, champion=True)])
    assert "advance 1d" in checks.one_day_over(empty, tmp_path)
    assert checks.second_version(empty, tmp_path)
    assert checks.promoted(empty, tmp_path)
    registered = _lab(promoted=False)
    assert checks.one_day_over(registered, tmp_path) == checks.second_version(registered, tmp_path) == ""
    assert "approve" in checks.promoted(registered, tmp_path)
    assert checks.day_with_it(registered, tmp_path)
    promoted = _lab()
    assert checks.promoted(promoted, tmp_path) == checks.day_with_it(promoted, tmp_path) == ""
    assert "rollback" in checks.rolled_back(promoted, tmp_path)
    assert checks.rolled_back(_lab(back=True), tmp_path) == ""
    assert checks.refused(_lab(back=True), tmp_path)
    assert checks.refused(_lab(back=True, refused=True), tmp_path) == ""


def test_a_refused_promotion_is_quoted(tmp_path: Path) -> None:
    world = World()
    refusal = decision(1, 2, world.scenario.starts, allow=False, rule="promotion/approved_by_another")
    evidence = world.evidence(versions=[version(1), version(2, extra=("dep_delay",))], decisions=[refusal])
    assert checks.promoted(evidence, tmp_path) == "The gate refused version 2: no"


def test_a_half_day_does_not_count(tmp_path: Path) -> None:
    world = World()
    day = world.day(0)
    half = day.model_copy(update={"until": day.since + DAY / 2})
    assert checks.one_day_over(world.evidence([half]), tmp_path)


def test_the_rule_has_to_be_written_filled_and_applied(tmp_path: Path) -> None:
    evidence = World().evidence()
    assert "no rule" in checks.rule_in_force(evidence, tmp_path)
    folder = tmp_path / checks.RULE
    folder.mkdir(parents=True)
    rule = folder / "inputs_known_at_prediction.rego"
    rule.write_text("# GAP: here")
    assert "gap" in checks.rule_in_force(evidence, tmp_path)
    rule.write_text("allow if true")
    assert "policy apply" in checks.rule_in_force(evidence, tmp_path)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "bundle.json").write_text('{"promotion/inputs_known_at_prediction": "..."}')
    assert checks.rule_in_force(evidence, tmp_path) == ""


@pytest.fixture(scope="module")
def content() -> tour.Tour:
    return tour.load(ten_models())


def test_texts_and_commands_are_filled_after_their_step(content: tour.Tour) -> None:
    values = {
        **content.values(_lab(back=True, refused=True)),
        "lab": "/lab",
        "gateway": "http://127.0.0.1:1",
        "token_file": "/t",
    }
    for step in content.steps:
        shown = [step.text, step.after, *(a.run for a in step.actions), *(a.wait for a in step.actions)]
        for text in shown:
            filled = tour.fill(text, values)
            assert "{" not in filled.replace('{"', "").replace("[{", ""), (step.id, filled)


def test_it_takes_a_quarter_of_an_hour(content: tour.Tour) -> None:
    assert content.minutes == 15


def test_the_columns_that_give_it_away_are_named(content: tour.Tour) -> None:
    values = content.values(_lab())
    assert (values["extra"], values["claimed"], values["honest"], values["leaky"]) == ("dep_delay", "0.967", "1", "2")
