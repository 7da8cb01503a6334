from __future__ import annotations

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from archlab.drills import experiments
from archlab.errors import NotFoundError
from archlab.spec.drill import Replication


@pytest.mark.parametrize("name", experiments.names())
def test_every_drill_is_an_experiment_that_chaos_toolkit_accepts(name: str) -> None:
    drill = experiments.load(name)
    ensure_experiment_is_valid(drill.content)
    assert drill.content["rollbacks"], "whatever is injected is undone"
    assert drill.content["steady-state-hypothesis"]["probes"]


@pytest.mark.parametrize("name", experiments.names())
def test_every_drill_says_what_it_asks_of_either_replication(name: str) -> None:
    objectives = experiments.load(name).objectives
    assert set(objectives) == set(Replication)
    assert objectives[Replication.SYNCHRONOUS].rpo_s == 0


def test_an_unknown_drill_names_those_that_there_are() -> None:
    with pytest.raises(NotFoundError, match="kill-region"):
        experiments.load("meteorite")
