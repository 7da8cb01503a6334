"""KServe's own client, unmodified, from an environment of its own: its packages and ours can't live in one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.serving.environments import NotBuiltError, ensure
from tests.archlab_serving.conformance.conftest import DATATYPE_NAMES, MODELS, SAMPLES, equal, same
from tests.archlab_serving.conftest import launcher, short_lab

pytestmark = pytest.mark.slow
CLIENT = Path(__file__).with_name("kserve_client.py")
FORMS = [
    (name, form) for name in DATATYPE_NAMES for form in ("json", "binary", "grpc") if (name, form) != ("FP16", "json")
]


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, Any]]:
    """What the client read."""
    try:
        python = ensure("kserve", print).python
    except NotBuiltError as error:
        pytest.skip(f"KServe's packages can't be installed here: {error}")
    with short_lab() as lab, launcher(lab) as launch:
        releases = [lab.release(data, model=name, columns=[], keys=[]) for name, data in MODELS.items()]
        lab.publish(*releases)
        target = f"unix:{lab.root / 'grpc.sock'}"
        server = launch.start(port=True, extra={"ARCHLAB_SERVING_GRPC": target})
        command = [str(python), str(CLIENT), f"http://{server.address}", target, "same", json.dumps(SAMPLES)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        yield json.loads(done.stdout)


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_server_and_model_are_live_and_ready(said: dict[str, Any], transport: str) -> None:
    assert said[transport] == [True, True, True]


@pytest.mark.parametrize(("datatype", "form"), FORMS)
def test_tensors_come_back_as_they_went(said: dict[str, Any], datatype: str, form: str) -> None:
    reply = said[f"{datatype}/{form}"]
    assert (reply["id"], reply["model"]) == ("an-id", same(datatype))
    assert equal(datatype, reply["values"], SAMPLES[datatype])
