"""Ties a design question to what measures it: the scenario's designs, and a scratch lab on hidden days or a drill."""

from __future__ import annotations

from archlab.experiments import calibration, trial
from archlab.grading.content import Pack
from archlab.grading.designs import Measure
from archlab.lab.lab import Lab
from archlab.spec.experiments import DesignTrial
from archlab.spec.grading import Question
from archlab.spec.plan import Progress
from archlab.spec.scenario import Overrides


def measure_in(lab: Lab, pack: Pack, progress: Progress) -> Measure:
    """Measures designs for the questions of one lab."""

    def measure(question: Question, design: Overrides) -> DesignTrial:
        assert question.design is not None
        if question.design.drill:
            return _drilled(lab, pack, question, design, progress)
        trial.check(lab, design)
        _, rate = calibration.needed(lab, progress)
        where = trial.conditions(lab, question.id, question.design, rate.value)
        asked = trial.demand(lab, where)
        task = question.design

        def made(name: str) -> tuple[str, Overrides]:
            return name.replace("_", "-"), pack.designs[name](lab.resolved, asked)

        others = trial.Designs(made(task.reference), tuple(made(name) for name in task.naive))
        return trial.trial(lab, question.id, design, others, where, progress)

    return measure


def _drilled(lab: Lab, pack: Pack, question: Question, design: Overrides, progress: Progress) -> DesignTrial:
    """A pair of regions in a hidden drill; the libraries that run it are needed only here."""
    from archlab.drills import trial as drilling

    assert question.design is not None
    drilling.check(lab, design)

    def made(name: str) -> tuple[str, Overrides]:
        return name.replace("_", "-"), pack.designs[name](lab.resolved, {})

    naive = [made(name) for name in question.design.naive]
    return drilling.trial(lab, question.id, design, made(question.design.reference), naive, progress)
