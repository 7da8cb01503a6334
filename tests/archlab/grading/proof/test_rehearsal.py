"""Scripts are carried out command by command; what fails becomes a finding and the next script goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.grading import content
from archlab.grading.practice import Practice
from archlab.grading.proof import solutions
from archlab.grading.proof.findings import Check
from archlab.grading.proof.rehearsal import Rehearsal
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Mode
from synthetic import World


class Scripted:
    """A stage of synthetic days: `set MODEL mode batch`, `clock advance 1d`, `answer forecast N`."""

    def __init__(self, folder: Path, scenario: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.seed = 0
        self._scenario = scenario
        self._modes: dict[str, Mode] = {}
        self._days: list[dict[str, Mode]] = []
        self._kept = 0

    def up(self, seed: int) -> None:
        self.seed, self._modes, self._days = seed, {}, []

    def keep(self) -> None:
        self._kept = len(self._days)

    def restart(self) -> None:
        self.ran.append("restart")
        self._modes, self._days = {}, self._days[: self._kept]

    def run(self, command: str) -> None:
        self.ran.append(command)
        match command.split()[1:]:
            case ["set", model, "mode", "batch"]:
                self._modes[model] = Mode.BATCH
            case ["clock", "advance", "1d"]:
                self._days.append(dict(self._modes))
            case ["answer", question, raw]:
                Practice(content.load(self._scenario), self.folder, self.evidence).answer(question, raw)
            case _:
                raise UserError(f"`{command}` ended with exit code 1: no such command")

    def evidence(self) -> Evidence:
        days = [World(seed=self.seed, modes=modes).day(number) for number, modes in enumerate(self._days)]
        return World(seed=self.seed, modes=self._modes).evidence(days)


@pytest.fixture
def stage(folder: Path, tmp_path: Path) -> Scripted:
    return Scripted(tmp_path / "lab", folder)


def _rehearsal(folder: Path, stage: Scripted) -> Rehearsal:
    pack = content.load(folder)
    return Rehearsal(pack, solutions.load(folder), stage, pack.questions)


def _spoil(folder: Path, old: str, new: str) -> None:
    path = folder / "solution" / "solutions.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_each_script_starts_from_the_prepared_lab_and_mistakes_come_first(folder: Path, stage: Scripted) -> None:
    rehearsal = _rehearsal(folder, stage)
    take = rehearsal.take(1, mistakes=True)
    assert rehearsal.findings == []
    assert take.start.daily == ()
    assert len(take.prepared.daily) == 1
    assert stage.ran[:7] == [
        "archlab clock advance 1d",
        "restart",
        "archlab set airport-congestion mode batch",
        "archlab clock advance 1d",
        "archlab set flight-time mode batch",
        "archlab clock advance 1d",
        "restart",
    ]
    assert set(take.solved) == {"move", "forecast"}
    assert take.solved["move"].commands == ("archlab set flight-time mode batch", "archlab clock advance 1d")
    assert set(take.wrong) == {("move", "moved_another")}
    assert take.solved["forecast"].answer > 0


def test_without_mistakes_only_solutions_run(folder: Path, stage: Scripted) -> None:
    take = _rehearsal(folder, stage).take(1, mistakes=False)
    assert take.wrong == {}
    assert "archlab set airport-congestion mode batch" not in stage.ran


def test_a_command_that_fails_is_a_finding_and_the_rest_goes_on(folder: Path, stage: Scripted) -> None:
    _spoil(folder, "archlab set flight-time mode batch", "archlab fly")
    rehearsal = _rehearsal(folder, stage)
    take = rehearsal.take(1, mistakes=True)
    (finding,) = rehearsal.findings
    assert (finding.question, finding.check, finding.seed) == ("move", Check.SOLUTION, 1)
    assert "`archlab fly` ended with exit code 1" in finding.found
    assert set(take.solved) == {"forecast"}


def test_a_script_that_raises_is_a_finding(folder: Path, stage: Scripted) -> None:
    _spoil(folder, 'yield "archlab set airport-congestion mode batch"', 'yield {}["nothing"]')
    rehearsal = _rehearsal(folder, stage)
    rehearsal.take(1, mistakes=True)
    (finding,) = rehearsal.findings
    assert (finding.question, finding.check) == ("move", Check.MISTAKE)
    assert "KeyError" in finding.found


def test_a_forecast_that_was_not_committed_is_a_finding(folder: Path, stage: Scripted) -> None:
    _spoil(folder, 'yield f"archlab answer forecast {answer}"', "pass")
    rehearsal = _rehearsal(folder, stage)
    rehearsal.take(1, mistakes=True)
    (finding,) = rehearsal.findings
    assert finding.question == "forecast"
    assert "before the experiment" in finding.expected
