"""What happens to a running server when feed and snapshots change under it."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import httpx
import orjson
import pytest
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, RunningServer, body, wait_for

INFER = "/v2/models/delay/infer"
ZEROS = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [0.0] * 5}]}


@pytest.fixture
def server(lab: Lab, launch: Launcher) -> RunningServer:
    lab.publish(lab.onnx("1", bias=1))
    lab.snapshot(1, weather=WEATHER, carrier=CARRIER)
    return launch.start()


def answer(server: RunningServer, **headers: str) -> float:
    reply = server.client.post(INFER, json=ZEROS, headers=headers)
    assert reply.status_code == 200, reply.text
    return float(reply.json()["outputs"][0]["data"][0])


def at_sequence(server: RunningServer, sequence: int) -> bool:
    return server.metric("archlab_release_feed_sequence") == sequence


def keep_asking(socket: Path, stop: threading.Event, seen: Counter[str]) -> None:
    """Asks over one connection; every answer must be good and agree with itself."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://x", timeout=30) as client:
        while not stop.is_set():
            reply = client.post(INFER, json=ZEROS)
            if reply.status_code != 200:
                seen[f"{reply.status_code} {reply.text}"] += 1
                continue
            document = reply.json()
            version = document["model_version"]
            agrees = document["outputs"][0]["data"] == [float(version)] and document["parameters"]["release"]
            seen["good" if agrees == f"delay:{version}" else reply.text] += 1


def test_fifty_reloads_under_load_lose_no_request(server: RunningServer, lab: Lab) -> None:
    stop, seen = threading.Event(), Counter[str]()
    assert server.socket is not None
    threads = [threading.Thread(target=keep_asking, args=(server.socket, stop, seen)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for version in range(2, 52):
            sequence = lab.publish(lab.onnx(str(version), bias=version))
            wait_for(lambda sequence=sequence: at_sequence(server, sequence), f"feed {sequence}")  # type: ignore[misc]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(seen) == {"good"}
    assert seen["good"] >= 50
    loaded = [
        line for line in server.client.get("/metrics").text.splitlines() if line.startswith("archlab_model_loaded{")
    ]
    assert loaded == ['archlab_model_loaded{model="delay",release="delay:51",version="51"} 1.0']


@pytest.mark.parametrize("fault", ["signature", "digest", "decision", "contract"])
def test_a_bad_release_is_refused_and_the_last_good_one_serves(server: RunningServer, lab: Lab, fault: str) -> None:
    entry = lab.onnx("2", bias=2)
    if fault == "signature":
        entry["signature"] = lab.onnx("3")["signature"]
    elif fault == "digest":
        (lab.feed.parent / entry["path"]).write_bytes(b"something else")
    elif fault == "decision":
        entry = lab.onnx("2", bias=2, decision_sha256="ab" * 32)
    else:
        entry = lab.release(b"not ONNX at all", version="2")
    sequence = lab.publish(entry)
    wait_for(lambda: at_sequence(server, sequence), "the feed")
    assert server.metric(f'archlab_release_refused_total{{model="delay",reason="{fault}"}}') == 1
    assert f"release delay:2 refused ({fault})" in server.log.read_text()
    assert answer(server) == 1
    assert server.ready()
    wait_for(lambda: lab.publish(lab.onnx("4", bias=4)) > 0 and answer(server) == 4, "a good release")


def test_a_file_that_comes_late_is_loaded_when_it_is_there(server: RunningServer, lab: Lab) -> None:
    entry = lab.onnx("2", bias=2)
    blob = lab.feed.parent / entry["path"]
    data = blob.read_bytes()
    blob.unlink()
    sequence = lab.publish(entry)
    wait_for(lambda: at_sequence(server, sequence), "the feed")
    assert answer(server) == 1
    blob.write_bytes(data)
    wait_for(lambda: answer(server) == 2, "the file to be taken")


@pytest.mark.parametrize("content", [b"", b'{"format": "archlab/release-feed/v1", "sequence"', b"[]"])
def test_a_damaged_feed_is_not_taken(server: RunningServer, lab: Lab, content: bytes) -> None:
    lab.feed.write_bytes(content)
    wait_for(lambda: server.metric("archlab_release_feed_errors_total") == 1, "the damage to be noticed")
    assert answer(server) == 1
    assert server.ready()
    lab.publish(lab.onnx("2", bias=2))
    wait_for(lambda: answer(server) == 2, "the next feed")


def test_a_removed_feed_changes_nothing(server: RunningServer, lab: Lab) -> None:
    lab.feed.unlink()
    assert answer(server) == 1
    lab.publish(lab.onnx("2", bias=2))
    wait_for(lambda: answer(server) == 2, "the next feed")


def test_a_damaged_snapshot_is_not_taken(server: RunningServer, lab: Lab) -> None:
    asked = body(origin=["JFK"], distance=[0.0], hour=[0.0], late=[0.0])
    assert server.client.post(INFER, json=asked).json()["outputs"][0]["data"] == [3201.0]
    lab.snapshot(2, weather={**WEATHER, "rows": {"JFK": [0.0, 0.0]}})
    wait_for(lambda: server.metric("archlab_feature_snapshot_sequence") == 2, "snapshot 2")
    manifest = orjson.loads(lab.snapshots.read_bytes())
    (lab.snapshots.parent / manifest["views"][0]["path"]).write_bytes(b"{}")
    manifest["views"][0]["sha256"] = "00" * 32
    lab.snapshots.write_bytes(orjson.dumps({**manifest, "sequence": 3}))
    wait_for(lambda: server.metric("archlab_feature_snapshot_errors_total") == 1, "the damage to be noticed")
    reply = server.client.post(INFER, json=asked).json()
    assert (reply["outputs"][0]["data"], reply["parameters"]["snapshot"]) == ([1.0], 2)


def test_a_request_sees_the_snapshot_and_the_feed_that_it_names(server: RunningServer, lab: Lab) -> None:
    asked = body(origin=["JFK"], distance=[0.0], hour=[0.0], late=[0.0])
    for sequence in range(2, 22):
        feed = lab.publish(lab.onnx(str(sequence), bias=sequence))
        lab.snapshot(sequence, weather={**WEATHER, "rows": {"JFK": [0.0, float(sequence)]}}, carrier=CARRIER)
        headers = {"x-archlab-min-snapshot": str(sequence), "x-archlab-min-feed": str(feed)}
        reply = server.client.post(INFER, json=asked, headers=headers).json()
        assert reply["parameters"]["snapshot"] == sequence
        assert reply["outputs"][0]["data"] == [101.0 * sequence]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("x-archlab-min-snapshot", "feature snapshot is at 1, x-archlab-min-snapshot asks for 99"),
        ("x-archlab-min-feed", "release feed is at 1, x-archlab-min-feed asks for 99"),
    ],
)
def test_a_server_that_stays_behind_says_so(server: RunningServer, header: str, message: str) -> None:
    reply = server.client.post(INFER, json=ZEROS, headers={header: "99"})
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "1"
    assert message in reply.json()["error"]
    assert server.client.post(INFER, json=ZEROS, headers={header: "soon"}).status_code == 400


def test_a_version_that_is_a_moment_old_is_found(server: RunningServer, lab: Lab) -> None:
    for version in range(2, 12):
        lab.publish(lab.onnx("1", bias=1), lab.onnx(str(version), bias=version, role="challenger"))
        assert answer(server, **{"x-archlab-version": str(version)}) == version
    assert answer(server) == 1


def test_snapshots_missing_at_the_start_are_named_in_the_answer(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx())
    server = launch.start()
    reply = server.client.post(INFER, json=body(origin=["JFK"])).json()
    assert reply["parameters"]["snapshot"] == 0
    assert reply["parameters"]["features_missing"] == "weather,carrier"
    assert "features_as_of" not in reply["parameters"]


def test_a_key_that_comes_to_be_trusted_brings_what_waits_for_it(server: RunningServer, lab: Lab) -> None:
    trusted = lab.trusted_keys.read_bytes()
    lab.trusted_keys.unlink()
    sequence = lab.publish(lab.onnx("1", bias=1), lab.onnx("2", bias=2, role="challenger"))
    refused = 'archlab_release_refused_total{model="delay",reason="model-key"}'
    wait_for(lambda: at_sequence(server, sequence) and server.metric(refused) >= 1, "the refusal")
    assert answer(server) == 1.0
    lab.trusted_keys.write_bytes(trusted)
    wait_for(lambda: server.metric('archlab_model_loaded{model="delay",release="delay:2",version="2"}') == 1, "it")
    assert answer(server, **{"x-archlab-version": "2"}) == 2.0
