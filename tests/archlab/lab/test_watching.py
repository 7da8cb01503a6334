from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archlab.errors import ConflictError
from archlab.files import write_model
from archlab.lab import Lab
from archlab.lab.lock import exclusive, is_held
from archlab.lab.watching import Counter, Watch
from archlab.settings import LabFolder
from archlab.spec.regions import Promotion, TierPosture
from gated_registry import wait_for
from labs import still_lab


def test_failures_count_in_a_row_and_only_of_what_worked_before() -> None:
    counter = Counter(needed=2)
    assert not any(counter.count(fine=False) for _ in range(5)), "what is just starting is no outage"
    assert not counter.count(fine=True)
    assert [counter.count(fine=fine) for fine in (False, True, False, False)] == [False, False, False, True]


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    return LabFolder(tmp_path)


def watched(
    folder: LabFolder, answers: list[bool], promotion: Promotion = Promotion.AUTOMATIC, *, refuse: bool = False
) -> list[str]:
    """What a watch does about these answers, one after the other; it ends with the last."""
    did, left, ended = list[str](), iter(answers), threading.Event()
    tier = TierPosture(check_every_ms=20, failures_to_detect=3, promotion=promotion)

    def asked() -> bool:
        fine = next(left, None)
        if fine is None:
            ended.set()
        return fine is not False

    def act() -> None:
        assert is_held(folder), "nobody else changes the lab meanwhile"
        did.append("failed over")
        if refuse:
            raise ConflictError("west may lack acknowledged writes.")

    Watch(folder, lambda: tier, asked, act).run(ended)
    return did


def test_it_acts_once_when_enough_checks_failed(folder: LabFolder) -> None:
    assert watched(folder, [True, False, False, True, False]) == []
    assert watched(folder, [True, False, False, False, True, True]) == ["failed over"]
    assert watched(folder, [True, False, False, False], refuse=True) == ["failed over"], "a refusal ends nothing"


def test_where_people_decide_it_only_watches(folder: LabFolder) -> None:
    assert watched(folder, [True, False, False, False, False], Promotion.MANUAL) == []


def test_while_another_command_changes_the_lab_nothing_is_counted(folder: LabFolder) -> None:
    asked, ended = list[bool](), threading.Event()

    def count() -> bool:
        asked.append(True)
        return True

    tier = TierPosture(check_every_ms=20)
    watch = Watch(folder, lambda: tier, count, lambda: None)
    thread = threading.Thread(target=watch.run, args=(ended,))
    with exclusive(folder, "dr failback"):
        thread.start()
        thread.join(0.2)
        assert not asked
    while not asked:
        thread.join(0.02)
    ended.set()
    thread.join()


def test_whoever_asks_whether_it_runs_is_answered_however_often(tmp_path: Path) -> None:
    lab = Lab(still_lab(tmp_path))
    write_model(lab.folder.identity, lab.identity.model_copy(update={"scenario": "disaster-recovery"}))
    lab.folder.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = {**os.environ, "ARCHLAB_LAB": str(lab.folder.root)}
    with subprocess.Popen([sys.executable, "-m", "archlab.lab.watching"], env=env) as watch:
        try:
            path = lab.folder.socket("watch-0")
            wait_for(path.exists, "the watch")
            for _ in range(200):
                with socket.socket(socket.AF_UNIX) as asked:
                    asked.settimeout(60)
                    asked.connect(str(path))
                    assert asked.recv(1) == b"", "taken and ended: none waits in the queue for ever"
            watch.terminate()
            assert watch.wait(60) == 0
        finally:
            watch.kill()
