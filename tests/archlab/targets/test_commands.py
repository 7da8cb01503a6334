from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab.errors import TargetError
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets.commands import Command, Health, LocalCommands, Program, programs
from archlab.targets.supervision import render

ONLINE = Unit(name="online", role=Role.SERVER, replicas=2, pool="online", runtime="uvicorn", serves="onnx")
BENTO = Unit(name="boxed", role=Role.SERVER, replicas=1, pool="boxed", runtime="bento", serves="onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[LabFolder]:
    found = LabFolder(tmp_path / "lab")
    found.log.mkdir(parents=True)
    found.run.mkdir(mode=0o700)
    yield found
    found.run.rmdir()


def test_a_server_is_told_who_it_is_and_where_its_files_are(folder: LabFolder) -> None:
    command = LocalCommands(folder)(ONLINE, 1)
    assert command.argv[:4] == (sys.executable, "-m", "uvicorn", "archlab_serving.app:app")
    assert str(folder.socket("online-1")) in command.argv
    assert command.health == Health(folder.socket("online-1"), ("/v2/health/ready",))
    assert command.env["ARCHLAB_SERVING_REPLICA"] == "1"
    assert command.env["ARCHLAB_SERVING_FEED"] == str(folder.root / "releases" / "feed.json")
    assert command.env["ARCHLAB_SERVING_PREDICTION_LOG"] == str(folder.root / "predictions" / "online-1.jsonl")


def test_a_bento_is_named_once_it_is_built(folder: LabFolder) -> None:
    before = LocalCommands(folder)(BENTO, 0)
    assert before.argv[3] == "archlab_serving.bento:app"
    assert "ARCHLAB_SERVING_BENTO" not in before.env
    (folder.root / "bento.json").write_text(json.dumps({"tag": "airline:abc"}))
    after = LocalCommands(folder)(BENTO, 0)
    assert after.env["ARCHLAB_SERVING_BENTO"] == "airline:abc"
    assert after.env["BENTOML_HOME"] == str(folder.root / "bento")


def test_every_replica_of_a_plan_is_a_program(folder: LabFolder) -> None:
    control = Unit(name="control", role=Role.CONTROL, replicas=1)
    plan = Plan(lab="lab", scenario="s", seed=1, units=(control, ONLINE), routes=(), reservations=())
    assert [p.name for p in programs(plan, LocalCommands(folder))] == ["control-0", "online-0", "online-1"]


def program(argv: tuple[str, ...], env: dict[str, str]) -> Program:
    return Program(ONLINE, 0, Command(argv, Health(Path("/x"), ("/",)), env))


@pytest.mark.parametrize("value", ["a b", "100 %", "it's", "a,b=c", "#x", "é", "a\\b", "%(here)s", ""])
def test_values_reach_supervisord_as_they_are(folder: LabFolder, value: str) -> None:
    """Read back by supervisord's own parser."""
    path = folder.root / "supervisord.conf"
    path.write_text(render([program(("prog", value), {"VALUE": value})], folder))
    code = (
        "import json, shlex, sys; from supervisor.options import ServerOptions; o = ServerOptions();"
        "o.realize(['-c', sys.argv[1]]); c = o.process_group_configs[0].process_configs[0];"
        "print(json.dumps([shlex.split(c.command), c.environment['VALUE'], c.umask, o.umask]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [["prog", value], value, None, 0o077]


@pytest.mark.parametrize("value", ['say "x"', "'quoted'", "two\nlines", "a #b", "a ;b"])
def test_what_its_format_can_not_hold_is_refused(folder: LabFolder, value: str) -> None:
    with pytest.raises(TargetError):
        render([program(("prog",), {"VALUE": value})], folder)
