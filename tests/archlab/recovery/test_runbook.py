from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from archlab.errors import ConflictError
from archlab.recovery.runbook import Step, carry_out


class Killed(BaseException):
    """The runbook's own process ends."""


def steps(did: list[str], dies_at: str = "") -> tuple[Step, ...]:
    def act(name: str) -> str:
        if name == dies_at:
            raise Killed
        did.append(name)
        return f"{name} is done"

    return tuple(Step(name, partial(act, name)) for name in ("assess", "fence", "promote"))


@pytest.mark.parametrize("dies_at", ["assess", "fence", "promote"])
def test_killed_at_any_step_it_goes_on_there(tmp_path: Path, dies_at: str) -> None:
    path, did, noted = tmp_path / "runbook.json", list[str](), list[str]()
    with pytest.raises(Killed):
        carry_out(path, "failover", steps(did, dies_at), lambda step, _: noted.append(step))
    done = carry_out(path, "failover", steps(did), lambda step, _: noted.append(step))
    assert did == noted == ["assess", "fence", "promote"]
    assert (done[0].step, done[0].said) == ("assess", "assess is done")
    assert not path.exists(), "the next failover begins at its beginning"


def test_another_runbooks_record_and_a_damaged_one_are_not_continued(tmp_path: Path) -> None:
    path, did = tmp_path / "runbook.json", list[str]()
    with pytest.raises(Killed):
        carry_out(path, "failback", steps(did, "fence"), lambda *_: None)
    carry_out(path, "failover", steps(did), lambda *_: None)
    assert did == ["assess", "assess", "fence", "promote"]
    path.write_text("{")
    carry_out(path, "failover", steps(did), lambda *_: None)
    assert len(did) == 7


def test_what_a_step_refuses_stays_undone(tmp_path: Path) -> None:
    def refuse() -> str:
        raise ConflictError("west may lack writes.")

    did: list[str] = []
    with pytest.raises(ConflictError):
        carry_out(tmp_path / "r.json", "failover", (Step("assess", refuse), *steps(did)[1:]), lambda *_: None)
    assert not did
