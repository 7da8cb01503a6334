"""Designs in a hidden drill: prepared as their registry is, drilled once for each preparation, void runs repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.drills import trial
from archlab.errors import ArchlabError, UserError
from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.drill import DrillReport, Posture, Verdict
from archlab.spec.drill_kinds import Replication
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.regions import Part, PostureChange, Promotion, RegionsOverride, Standby, Tier
from archlab.spec.scenario import ModelOverride, Overrides
from drill_reports import BEGAN, measured, report


def lab_of(folder: Path, scenario: str = "disaster-recovery") -> Lab:
    made = LabIdentity(
        lab="pair",
        scenario=scenario,
        seed=1,
        code_version="0",
        gateway_port=18080,
        state=LabState.READY,
        created=BEGAN,
    )
    write_model(LabFolder(folder / "pair").identity, made)
    return Lab(LabFolder(folder / "pair"))


def critical(**changes: object) -> Overrides:
    change = PostureChange.model_validate(changes)
    return Overrides(regions=RegionsOverride(tiers={Tier.CRITICAL: change}))


class Runs:
    """Stands for the drill: keeps how it was asked for, and gives what it is told to."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.asked: list[tuple[str | None, Posture]] = []
        self._verdicts = list(verdicts)

    def __call__(self, name: str | None, posture: Posture, progress: object) -> tuple[Path, DrillReport]:
        self.asked.append((name, posture))
        verdict = self._verdicts.pop(0) if self._verdicts else Verdict.GREEN
        seen = None if verdict is Verdict.VOID else measured()
        return Path(), report(seen, drill=name, posture=posture, verdict=verdict, reasons=("busy",))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(trial, "run", made)
    return made


def quiet(_step: str, _detail: str) -> None:
    """Nobody listens."""


def test_designs_with_the_same_registry_share_a_drill_and_keep_their_own_regions(tmp_path: Path, runs: Runs) -> None:
    lab = lab_of(tmp_path)
    models = RegionsOverride(models={"flight-time": Tier.CRITICAL})
    found = trial.trial(
        lab,
        "promises",
        Overrides(regions=models),
        ("reference", Overrides()),
        [("slow", critical(replication="async"))],
        quiet,
    )
    assert [posture.replication for _, posture in runs.asked] == [Replication.ASYNCHRONOUS, Replication.SYNCHRONOUS]
    assert found.submitted.drills == found.reference.drills
    assert found.submitted.regions != found.reference.regions
    trial.trial(lab, "promises", Overrides(), ("reference", Overrides()), [], quiet)
    assert len(runs.asked) == 2, "what the cache knows is not drilled again"


def test_a_registry_that_is_not_in_the_second_region_is_not_drilled(tmp_path: Path, runs: Runs) -> None:
    lab = lab_of(tmp_path)
    found = trial.trial(lab, "promises", critical(posture="backup-only"), ("reference", Overrides()), [], quiet)
    assert found.submitted.drills == ()
    assert found.submitted.regions is not None
    assert found.submitted.regions.of(Part.REGISTRY).posture is Standby.BACKUP_ONLY
    assert len(runs.asked) == 1


def test_a_drill_that_was_void_is_run_again_and_in_the_end_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, again = lab_of(tmp_path), Runs(Verdict.VOID, Verdict.RED)
    monkeypatch.setattr(trial, "run", again)
    found = trial.trial(lab, "promises", Overrides(), ("reference", Overrides()), [], quiet)
    assert [one.verdict for one in found.submitted.drills] == [Verdict.RED]
    monkeypatch.setattr(trial, "run", Runs(*[Verdict.VOID] * trial.TRIES))
    with pytest.raises(ArchlabError, match=r"said nothing, 3 times: busy"):
        trial.trial(lab, "promises", critical(replication="async"), ("reference", Overrides()), [], quiet)


def test_where_people_decide_losses_may_be_accepted_and_where_a_machine_does_they_may_not(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    for promotion in Promotion:
        regions = lab.resolved.regions
        assert regions is not None
        tiers = {t: p.model_copy(update={"promotion": promotion}) for t, p in regions.tiers.items()}
        posture = trial.prepared(regions.model_copy(update={"tiers": tiers}))
        assert posture is not None
        assert posture.accept_data_loss is (promotion is Promotion.MANUAL)
        assert (posture.latency_ms, posture.check_every_ms) == (regions.latency_ms, 500)


def test_a_design_that_is_about_something_else_is_refused_before_anything_runs(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    with pytest.raises(UserError, match="changes regions only, and this one models too"):
        trial.check(lab, Overrides(models={"flight-time": ModelOverride(replicas=2)}))
    with pytest.raises(UserError, match="no model 'teleport'"):
        trial.check(lab, Overrides(regions=RegionsOverride(models={"teleport": Tier.CRITICAL})))
    with pytest.raises(UserError, match="runs in one place"):
        trial.check(lab_of(tmp_path / "other", "ten-models"), Overrides())


def test_the_hidden_drill_hangs_on_question_and_seed() -> None:
    drawn = {trial.hidden_drill("promises", seed) for seed in range(30)}
    assert drawn == set(trial.HIDDEN)
    assert trial.hidden_drill("promises", 3) == trial.hidden_drill("promises", 3)
