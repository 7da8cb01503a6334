from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlab.errors import SpecError, TargetError
from archlab.jobs import InterruptedJobError
from archlab.settings import LabFolder
from archlab.spec.job import Job
from archlab.targets import processes
from archlab.targets.running import Running, interrupt, run


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    found = LabFolder(tmp_path / "lab")
    found.root.mkdir()
    return found


def job(*args: str) -> Job:
    return Job(name="try", module="job_for_tests", args=args, env={"PYTHONPATH": str(Path(__file__).parent)})


def ignore(_: dict[str, Any]) -> None:
    pass


def test_a_job_reports_and_returns(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    events: list[dict[str, Any]] = []
    done = run(folder, job("work", "21"), events.append)
    assert (done.result["twice"], done.result["lab"]) == (42, str(folder.root))
    assert "MLFLOW_TRACKING_URI" not in done.result["env"]
    assert events == [{"step": "half", "detail": "way", "done": 1, "total": 2}]
    assert done.seconds > 0
    assert 150 << 20 < done.peak_rss_bytes < 600 << 20
    assert set((folder.log / "job-try.log").read_text().splitlines()) == {"a warning", "not a report"}


def test_an_error_of_the_user_stays_one(folder: LabFolder) -> None:
    with pytest.raises(SpecError) as caught:
        run(folder, job("user-error"), ignore)
    assert (caught.value.message, caught.value.remedy) == ("The file is wrong.", "Mend it.")


def test_a_crash_carries_the_end_of_its_log(folder: LabFolder) -> None:
    with pytest.raises(TargetError, match="ZeroDivisionError: by zero") as caught:
        run(folder, job("crash"), ignore)
    assert caught.value.unit == "job-try"
    assert any("Traceback" in line for line in caught.value.log_tail)


@pytest.mark.parametrize(
    ("what", "message"), [("vanish", "was ended by SIGKILL and no result"), ("silent", "exit code 0 and no result")]
)
def test_an_end_without_a_word_is_an_error(folder: LabFolder, what: str, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        run(folder, job(what), ignore)
    assert caught.value.log_tail == (("last words",) if what == "vanish" else ())


def test_a_module_that_is_not_there_is_an_error(folder: LabFolder) -> None:
    with pytest.raises(TargetError, match="exit code 1") as caught:
        run(folder, Job(name="try", module="no_such_module"), ignore)
    assert "No module named no_such_module" in caught.value.log_tail[-1]


def press(times: int) -> Callable[[dict[str, Any]], None]:
    """What ^C does: raise KeyboardInterrupt in the main thread, here on the first report."""

    def on_event(_: dict[str, Any]) -> None:
        for _repeat in range(times):
            os.kill(os.getpid(), signal.SIGINT)

    return on_event


def test_an_interrupt_is_passed_on_and_waited_for(folder: LabFolder) -> None:
    with pytest.raises(InterruptedJobError):
        run(folder, job("wait"), press(1))
    assert processes.marked(folder.root, jobs=True) == []


def test_a_second_interrupt_ends_a_stubborn_job(folder: LabFolder) -> None:
    seen: list[int] = []

    def twice(_: dict[str, Any]) -> None:
        seen.append(1)
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedJobError):
        run(folder, job("stubborn"), twice)
    assert seen == [1]
    assert processes.marked(folder.root, jobs=True) == []


def test_a_job_of_another_thread_is_interrupted(folder: LabFolder) -> None:
    jobs: Running = set()
    waiting, ended = threading.Event(), []

    def work() -> None:
        try:
            run(folder, job("wait"), lambda _: waiting.set(), jobs)
        except InterruptedJobError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(60)
    interrupt(jobs)
    thread.join(60)
    assert len(ended) == 1
    assert jobs == set()


def test_a_caller_that_fails_leaves_no_job_behind(folder: LabFolder) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise RuntimeError("the display broke")

    with pytest.raises(RuntimeError, match="display"):
        run(folder, job("wait"), fail)
    assert processes.marked(folder.root, jobs=True) == []
