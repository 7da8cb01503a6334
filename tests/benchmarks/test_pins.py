"""What the peers' environments hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.serving.contenders import all_contenders
from benchmarks.serving.pins import COMMON, REQUIREMENTS, SHOWN

LOCK = Path(__file__).parents[2] / "requirements.lock"
PINS = [(name, pin) for name, pins in REQUIREMENTS.items() for pin in pins]


@pytest.mark.parametrize(("environment", "pin"), PINS)
def test_every_pin_is_exact_and_its_version_is_shown(environment: str, pin: str) -> None:
    name, equals, version = pin.partition("==")
    assert equals, f"{environment}: {pin}"
    assert re.fullmatch(r"\d+(\.\d+)+", version)
    assert name in {*SHOWN, "onnx"}


def test_what_the_server_shares_with_its_peers_has_the_version_of_the_lock() -> None:
    locked = set(re.findall(r"^[\w.-]+==[^ \\]+", LOCK.read_text(), re.MULTILINE))
    assert set(COMMON) <= locked
    shared = {pin.partition("==")[0] for pin in COMMON} - {"uvloop"}
    for name in ("mlserver", "mlflow", "bentoml", "kserve"):
        assert {pin for pin in REQUIREMENTS[name] if pin.partition("==")[0] in shared} < set(COMMON)


def test_every_peer_has_an_environment_of_its_own() -> None:
    contenders = all_contenders()
    assert {c.environment for c in contenders if c.peer} <= set(REQUIREMENTS)
    assert not any(c.environment for c in contenders if not c.peer)
