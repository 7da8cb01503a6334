"""A model in both regions: real inference servers, a release that answers wrongly, a file that is corrupt."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from archlab.drills import faults, models
from archlab.drills.answers import is_right, value_of
from archlab.drills.orders import look
from archlab.drills.region import REGIONS
from archlab.drills.rollback import roll_back
from archlab.drills.testbed import Testbed, current
from archlab.drills.watch import Watch
from archlab.errors import LabStateError
from archlab.spec.drill import Posture
from gated_registry import wait_for


def answer(value: object) -> dict[str, object]:
    return {"outputs": [{"name": "prediction", "datatype": "FP32", "shape": [1, 1], "data": [value]}]}


def test_an_answer_is_right_only_as_what_was_asked_for() -> None:
    question = models.questions()[1]
    assert question.answer == 88.0
    assert is_right(answer(88.0004), question)
    others: list[object] = [answer(138.0), answer("x"), answer(None), {"outputs": []}, [], None]
    for wrong in others:
        assert not is_right(wrong, question)
    assert value_of({"outputs": [{"data": [1, 2]}]}) is None


def test_the_bad_model_is_wrong_about_every_question_that_is_asked() -> None:
    for question in models.questions():
        values = [i["data"][0] for i in question.body["inputs"]]
        wrong = models.BIAS + sum(w * v for w, v in zip(models.WRONG, values, strict=True))
        assert not is_right(answer(wrong), question)


@pytest.mark.slow
def test_wrong_answers_pass_a_check_of_status_alone_and_a_corrupt_file_is_never_served(home: Path) -> None:
    testbed = Testbed.lay_out(home / "testbed", Posture(latency_ms=2, check_content=True))
    testbed.models = models.Models.lay_out(testbed.folder, REGIONS)
    testbed.up(lambda *_: None)
    blind = dataclasses.replace(testbed, posture=Posture())
    try:
        with pytest.raises(LabStateError, match="no release"):
            roll_back(testbed)
        with current(testbed):
            faults.release_a_bad_model()
            wait_for(lambda: not testbed.predictions_right(), "the bad release", timeout_s=30)
            assert testbed.predictions_come(), "status and latency say nothing"
            assert Watch(blind)._fine()
            assert any(f"{models.MODEL} of distance 400, wind 4: 138" in line for line in look(testbed))
            watch = Watch(testbed)
            watch.start()
            wait_for(lambda: "served again" in names(testbed), "the version before", timeout_s=60)
            watch.stop()
            order = [name for name in names(testbed) if name in ("detected", "decided", "roll back", "served again")]
            assert order == ["detected", "decided", "roll back", "served again"]
            assert testbed.predictions_right()

            faults.corrupt_model("east")
            assert faults.refused_by_digest("east", 60)
            assert not models.serves(testbed.models.regions["east"])
            wait_for(testbed.predictions_right, "the other region's answers", timeout_s=30)
            faults.restore_models()
            assert models.serves(testbed.models.regions["east"])
    finally:
        testbed.down()


def names(testbed: Testbed) -> list[str]:
    return [event.name for event in testbed.events]
