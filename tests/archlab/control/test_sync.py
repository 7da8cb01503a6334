"""Pods follow control: manifests, files by digest, desired state, prediction logs. The sidecar is the real one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from archlab.control import prediction_logs
from archlab.control.prediction_logs import Position
from archlab.control.published import Published
from archlab.files import write_atomic, write_model
from archlab.identity import PLATFORM, mint
from archlab.plan.inventory import inventory
from archlab.plan.layout import layout
from archlab.plan.placement import Need, place
from archlab.settings import LabFolder
from archlab.spec.devices import DeclaredDevice, DevicePlan, Gain
from archlab.spec.plan import Plan
from archlab.spec.release import FeatureSnapshot, ReleaseFeed, ViewSnapshot
from archlab.spec.scenario import ModelOverride, Overrides, Scenario, User
from archlab_serving import sidecar
from archlab_serving.devices import Assignment, Device, Devices, parse
from archlab_serving.sidecar import Mirror, Settings, Shipper, SyncError
from control_process import START

POD = User(name="replica", team="platform", roles=("replica",))
VIEWER = User(name="eve", team="operations", roles=("viewer",))
START_WITHIN_S = 120.0
WAITS_S = 24
CARD = {"name": "l4-1", "uuid": "emulated-n-l4-1", "product": "NVIDIA L4", "profile": "", "memory_bytes": 900 << 20}
HELD = {"ARCHLAB_DEVICE_NVIDIA_COM_GPU_INFO": json.dumps([{**CARD, "basis": "emulated"}])}
"""What the device plugin tells a container that holds a card."""


@pytest.fixture
def base(folder: LabFolder) -> Iterator[str]:
    """Control as a pod of a cluster: over TCP, told that no folder is shared."""
    with _control(folder, _free_port()) as url:
        yield url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@contextlib.contextmanager
def _control(folder: LabFolder, port: int) -> Iterator[str]:
    command = [sys.executable, "-m", "uvicorn", "archlab.control.app:app", "--port", str(port), "--no-access-log"]
    environment = {**os.environ, "ARCHLAB_LAB": str(folder.root), "ARCHLAB_REPLICAS_AT": "8080"}
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_WITHIN_S
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not _answers(url):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield url
        process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def _client(base: str, folder: LabFolder, user: User = PLATFORM) -> httpx.Client:
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {mint(folder, user)}"}, timeout=30)


def _settings(base: str, folder: LabFolder, place: Path, **more: Any) -> Settings:
    token = place / "token"
    token.write_text(mint(folder, POD))
    values: dict[str, Any] = {"kind": "server", "unit": "online", "log": None, **more}
    return Settings(control=base, token=token, replica="online-abc", folder=place / "lab", **values)


def _mirror(base: str, folder: LabFolder, place: Path, **more: Any) -> Mirror:
    settings = _settings(base, folder, place, **more)
    return Mirror(settings, sidecar.Control(settings))


def _publish(folder: LabFolder, sequence: int, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    write_atomic(folder.snapshots / "blobs" / f"{digest}.json", content)
    view = ViewSnapshot(view="weather", sha256=digest, path=f"blobs/{digest}.json", rows=1, materialized=START)
    manifest = FeatureSnapshot(sequence=sequence, business_time=START, views=(view,))
    write_model(folder.snapshots / "current.json", manifest)
    return digest


def test_a_pod_has_what_is_published_and_follows_at_once(base: str, folder: LabFolder, tmp_path: Path) -> None:
    first = _publish(folder, 1, b"one")
    mirror = _mirror(base, folder, tmp_path)
    assert mirror.follow(0)
    copy = tmp_path / "lab"
    assert (copy / "snapshots" / "blobs" / f"{first}.json").read_bytes() == b"one"
    assert ReleaseFeed.model_validate_json((copy / "releases" / "feed.json").read_bytes()).sequence == 0
    assert not mirror.follow(0)

    changed: list[bool] = []
    waiting = threading.Thread(target=lambda: changed.append(mirror.follow(WAITS_S)))
    waiting.start()
    began = time.monotonic()
    second = _publish(folder, 2, b"two")
    waiting.join(START_WITHIN_S)
    assert changed == [True]
    assert time.monotonic() - began < WAITS_S - 4, "the request that waits is answered when something changes"
    assert json.loads((copy / "snapshots" / "current.json").read_text())["sequence"] == 2
    assert (copy / "snapshots" / "blobs" / f"{second}.json").exists()
    assert not (copy / "snapshots" / "blobs" / f"{first}.json").exists()


def test_a_file_that_is_not_what_its_digest_says_is_not_taken(base: str, folder: LabFolder, tmp_path: Path) -> None:
    digest = _publish(folder, 1, b"right")
    write_atomic(folder.snapshots / "blobs" / f"{digest}.json", b"wrong")
    mirror = _mirror(base, folder, tmp_path)
    with pytest.raises(SyncError, match="digest"):
        mirror.follow(0)
    assert not (tmp_path / "lab" / "snapshots" / "current.json").exists()
    assert mirror.digest == ""


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_no_manifest_leads_out_of_the_folder(base: str, folder: LabFolder, tmp_path: Path, path: str) -> None:
    mirror = _mirror(base, folder, tmp_path)
    with pytest.raises(SyncError, match="below the folder"):
        mirror._place(path)


def test_only_pods_read_and_only_operators_hand_over(base: str, folder: LabFolder) -> None:
    with _client(base, folder, VIEWER) as viewer:
        assert viewer.get("/sync/server?unit=online").status_code == 403
        assert viewer.get(f"/sync/blobs/{'0' * 64}").status_code == 403
        assert viewer.post("/predictions/x?offset=0", content=b"{}\n").status_code == 403
        assert viewer.post("/desired", json={"files": {}}).status_code == 403
    with _client(base, folder, POD) as pod:
        assert pod.post("/desired", json={"files": {}}).status_code == 403
    assert httpx.get(f"{base}/sync/server?unit=online").status_code == 401


def test_a_teams_pods_follow_their_own_servers_files_and_nothing_else(
    base: str, folder: LabFolder, tmp_path: Path
) -> None:
    plan = Plan.model_validate_json(folder.plan.read_bytes())
    own = plan.unit("online").model_copy(update={"name": "operations", "team": "operations"})
    write_model(folder.plan, plan.model_copy(update={"units": (*plan.units, own)}))
    digest = _publish(folder, 1, b"one")
    other = hashlib.sha256(b"a file of a pool of others").hexdigest()
    write_atomic(folder.releases / "blobs" / other, b"a file of a pool of others")
    with _client(base, folder, POD.model_copy(update={"team": "operations"})) as pod:
        assert pod.get("/sync/server?unit=operations").status_code == 200
        assert pod.get(f"/sync/blobs/{digest}").content == b"one"
        assert pod.post("/predictions/operations-7d-x?offset=0", content=b"{}\n").status_code == 200
        for path in ("server?unit=online", "gateway", "registry", f"blobs/{other}"):
            refused = pod.get(f"/sync/{path}")
            assert (refused.status_code, "team operations" in refused.json()["error"]) == (403, True), path
        assert pod.post("/predictions/online-7d-x?offset=0", content=b"{}\n").status_code == 403
    with _client(base, folder, POD) as pod:
        assert pod.get(f"/sync/blobs/{other}").status_code == 200


def test_what_a_teams_pods_predicted_is_taken_after_the_team_left_its_pool(base: str, folder: LabFolder) -> None:
    """Its pods are stopped last, when the plan has the pool no longer; a team whose name begins alike stays another."""
    with _client(base, folder, POD.model_copy(update={"team": "operations"})) as pod:
        assert pod.post("/predictions/operations-7d-x?offset=0", content=b'{"n": 1}\n').status_code == 200
        for other in ("operations-west-7d-x", "online-7d-x", "operations"):
            assert pod.post(f"/predictions/{other}?offset=0", content=b"{}\n").status_code == 403
    assert (folder.predictions / "operations-7d-x.jsonl").read_bytes() == b'{"n": 1}\n'


def test_a_pod_that_ends_while_control_is_away_hands_its_last_lines_on_when_control_is_back(
    folder: LabFolder, tmp_path: Path
) -> None:
    log, stop = tmp_path / "predictions.jsonl", threading.Event()
    log.write_bytes(b'{"n": 1}\n')
    port = _free_port()
    settings = _settings(f"http://127.0.0.1:{port}", folder, tmp_path, log=log)
    ending = threading.Thread(target=sidecar.run, args=(settings, stop))
    ending.start()
    stop.set()
    ending.join(3 * sidecar.SHIP_EVERY_S)
    assert ending.is_alive(), "control was not there yet"
    with _control(folder, port):
        ending.join(START_WITHIN_S)
    assert not ending.is_alive()
    assert (folder.predictions / "online-abc.jsonl").read_bytes() == b'{"n": 1}\n'


def test_desired_state_is_put_in_place_and_nothing_else(base: str, folder: LabFolder) -> None:
    with _client(base, folder) as operator:
        plan = folder.plan.read_text()
        assert operator.post("/desired", json={"files": {"gateway/plan.json": plan}}).status_code == 200
        refused = operator.post("/desired", json={"files": {"keys/jwt.pem": "x", "../x": "y"}})
        unreadable = operator.post("/desired", json={"files": {"plan.json": "{}"}})
    assert (folder.root / "gateway" / "plan.json").read_text() == plan
    assert (refused.status_code, unreadable.status_code) == (400, 400)
    assert "x" not in (folder.keys / "jwt.pem").read_text()[:1]


@pytest.mark.parametrize("name", ["plan.json", "gateway/plan.json"])
def test_no_plan_takes_callers_where_no_decision_lets_them_go(
    base: str, folder: LabFolder, scenario: Scenario, name: str
) -> None:
    before = folder.plan.read_text()
    overrides = Overrides(models={"flight-time": ModelOverride(canary_percent=100)})
    plan = layout("lab", scenario, 1, overrides, {"flight-time": "2"}).model_dump_json()
    with _client(base, folder) as operator:
        refused = operator.post("/desired", json={"files": {name: plan, "known_columns.json": "{}"}})
    assert (refused.status_code, "100 % of the callers of flight-time" in refused.json()["error"]) == (403, True)
    assert folder.plan.read_text() == before
    assert not (folder.root / "known_columns.json").exists()


def test_control_hears_which_plan_a_gateway_has_in_force(base: str, folder: LabFolder, tmp_path: Path) -> None:
    with _client(base, folder) as operator:
        operator.post("/desired", json={"files": {"gateway/plan.json": folder.plan.read_text()}})
        mirror = _mirror(base, folder, tmp_path, kind="gateway", unit="")
        mirror.follow(0)
        mirror.follow(0)
        (asked,) = operator.get("/sync/gateway/applied").json()["replicas"]
        assert (asked["applied"], asked["have"]) == ("", mirror.digest)
        mirror.applied = mirror.digest
        mirror.follow(0)
        found = operator.get("/sync/gateway/applied").json()
    assert found["replicas"][0]["applied"] == found["digest"] == mirror.digest


def test_a_pods_devices_come_change_and_go_with_the_plan(base: str, folder: LabFolder, tmp_path: Path) -> None:
    mirror, copy = _mirror(base, folder, tmp_path), tmp_path / "lab" / "devices.json"
    plan = Plan.model_validate_json(folder.plan.read_bytes())
    mirror.follow(0)
    assert not copy.exists()
    server = Devices(copy)
    for mib in (100, 200):
        write_model(folder.plan, plan.model_copy(update={"devices": _placed(mib)}))
        assert mirror.follow(20)
        server.read()
        assert server.placements.devices == (), "this process holds no card"
        assert parse(copy.read_bytes(), HELD).of("a") == Assignment(_card(), mib << 20)
    write_model(folder.plan, plan)
    assert mirror.follow(20)
    assert not copy.exists()


def _placed(mib: int) -> DevicePlan:
    gains = Gain(gains=True, basis="measured", because="it multiplies matrices")
    card = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=1_000)
    return place([Need("a", "ops", "online", 1, mib << 20, gain=gains)], inventory([card], ()))


def _card() -> Device:
    return Device("l4-1", "emulated-n-l4-1", "NVIDIA L4", "emulated", 0, 900 << 20)


def test_a_log_arrives_whole_and_once_whatever_is_sent_again(base: str, folder: LabFolder, tmp_path: Path) -> None:
    log = tmp_path / "predictions.jsonl"
    settings = _settings(base, folder, tmp_path, log=log)
    copy = folder.predictions / "online-abc.jsonl"
    shipper = Shipper(settings, sidecar.Control(settings), log)
    assert not shipper.ship()
    log.write_bytes(b'{"n": 1}\n{"n": 2}\n{"half')
    assert shipper.ship()
    assert not shipper.ship(), "half a line is not sent"
    again = Shipper(settings, sidecar.Control(settings), log)
    with log.open("ab") as file:
        file.write(b'": 3}\n')
    while again.ship():
        pass
    assert copy.read_bytes() == log.read_bytes()

    copy.unlink()
    with log.open("ab") as file:
        file.write(b'{"n": 4}\n')
    with pytest.raises(urllib.error.HTTPError):
        again.ship()
    while again.ship():
        pass
    assert copy.read_bytes() == log.read_bytes()


def test_long_logs_are_begun_anew_on_both_sides_and_nothing_is_lost(
    base: str, folder: LabFolder, tmp_path: Path
) -> None:
    """What control read of the copies is every line once, though neither side keeps them all."""
    log, copy = tmp_path / "predictions.jsonl", folder.predictions / "online-abc.jsonl"
    settings = _settings(base, folder, tmp_path, log=log)
    written, read = b"", b""
    position: Position | None = None
    for number in range(41):
        # a sidecar that is started anew at any time goes on
        shipper = Shipper(settings, sidecar.Control(settings), log, rotate_bytes=300)
        line = json.dumps({"n": number, "filler": "x" * 50}).encode() + b"\n"
        with log.open("ab") as file:
            file.write(line)
        written += line
        while shipper.ship():
            pass
        while piece := prediction_logs.read(copy, position):
            read, position = read + b"\n".join(piece.lines) + b"\n", piece.position
    assert log.stat().st_size < 400
    assert not log.with_name("predictions.jsonl.old").exists()
    assert int(log.with_name("predictions.jsonl.base").read_text()) > 2000
    assert read == written

    for left in folder.predictions.iterdir():
        left.unlink()
    with log.open("ab") as file:
        file.write(b'{"n": 99}\n')
    again = Shipper(settings, sidecar.Control(settings), log, rotate_bytes=300)
    while again.ship():
        pass
    assert copy.read_bytes().endswith(b'{"n": 99}\n'), "control goes on from what the pod still has"


def test_a_manifest_names_only_the_pools_own_releases(folder: LabFolder) -> None:
    write_model(folder.releases / "feed.json", ReleaseFeed(sequence=0, releases=()))
    published = Published(folder)
    empty = published.manifest("server", "online", "online").digest
    assert published.manifest("server", "lookup", "lookup").digest == empty
    _publish(folder, 1, b"view")
    assert published.manifest("server", "online", "online").digest != empty
