"""A model goes onto a device and off again; who can't is told why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archlab.lab import Lab
from archlab.lab.devices import taken
from archlab.spec.money import Resource
from harness import Cli

pytestmark = pytest.mark.lab

NETWORK, TREES = "arrival-delay", "departure-delay"


@pytest.fixture
def placed(cli: Cli, lab: Lab) -> Iterator[str]:
    """The words of a change that puts the neural network on devices; it is taken off again."""
    yield cli.ok("set", NETWORK, "device", "on")
    cli.ok("set", NETWORK, "device", "off")


def test_every_model_is_told_why_it_is_where_it_is(cli: Cli, lab: Lab) -> None:
    shown = cli.json("devices")
    assert {d["name"] for d in shown["devices"]} == {d.name for d in lab.declared.devices}
    assert [m["model"] for m in shown["models"]] == [m.name for m in lab.declared.models]
    gains = {m["model"]: m["gain"] for m in shown["models"]}
    assert [name for name, gain in gains.items() if gain["gains"]] == [NETWORK]
    assert {gain["basis"] for gain in gains.values()} == {"measured"}
    assert "gains from a device: 12 of its 14 nodes" in cli.ok("models", "show", NETWORK)


def test_a_refused_placement_changes_nothing(cli: Cli, lab: Lab) -> None:
    before = lab.plan
    for model, wish, said in (
        (TREES, "on", "it gains nothing from a device"),
        (NETWORK, "1g.5gb", "replicas of one model never share a card"),
        (NETWORK, "some-tpu", "no device is a some-tpu"),
    ):
        done = cli.run("set", model, "device", wish)
        assert done.returncode == 1
        assert said in " ".join(done.stderr.split())
        assert "Nothing was changed." in " ".join(done.stderr.split())
    assert lab.plan == before


def test_servers_hold_what_is_placed_and_an_up_keeps_it(cli: Cli, lab: Lab, placed: str) -> None:
    assert "reserve l4-0" in placed
    spots = {(s.device, s.replica) for s in taken(lab.control.text("/metrics")) if s.model == NETWORK}
    assert len(spots) == 2
    about = lab.client().get(f"/v2/models/{NETWORK}")["parameters"]["device"]
    assert about["basis"] in {"real", "emulated"}
    assert cli.run("set", NETWORK, "replicas", "3").returncode == 1
    assert lab.plan.devices
    held = lab.plan.devices.placements
    cli.ok("up")
    assert lab.plan.devices.placements == held
    what_if = cli.json("devices", "--what-if", f"{NETWORK}=off")
    assert what_if["what_if"]
    assert all(d["used_bytes"] == 0 for d in what_if["devices"])
    assert any(d["used_bytes"] for d in cli.json("devices")["devices"])


def test_a_reserved_device_is_on_the_bill_as_what_it_is(cli: Cli, lab: Lab, placed: str) -> None:
    cli.ok("clock", "advance", "1h")
    bill = cli.json("cost", "--by", "model,resource,kind,basis")
    lines = {line["resource"]: line for line in bill["lines"] if line["resource"].startswith("device")}
    assert set(lines) == {"device", "device_slice"}
    assert {(line["model"], line["kind"]) for line in lines.values()} == {(NETWORK, "idle")}
    assert lines["device_slice"]["basis"] == "emulated"
    (an_hour_of_a_slice,) = {p.nanousd for p in lab.scenario.prices.prices if p.resource is Resource.DEVICE_SLICE}
    assert lines["device_slice"]["cost_nanousd"] == an_hour_of_a_slice
    assert bill["emulated_nanousd"] >= lines["device_slice"]["cost_nanousd"]
    assert bill["agrees"]
