"""The server's HTTP face, over uvicorn."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import zlib
from typing import Any

import orjson
import pytest
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, RunningServer, body, wait_for

INFER = "/v2/models/delay/infer"
LABELS = 'model="delay",team="operations",version="1"'


def start(lab: Lab, launch: Launcher) -> RunningServer:
    """A server with a champion, a challenger, a table and two views."""
    lab.publish(lab.onnx("1"), lab.onnx("2", bias=7, role="challenger"), lab.table({"N1": 0.25, "N2": None}))
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)
    return launch.start()


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> RunningServer:
    """One server for every test that leaves it as it is."""
    return start(shared_lab, shared_launch)


def whole(rows: int = 1) -> dict[str, Any]:
    return {"inputs": [{"name": "features", "datatype": "FP32", "shape": [rows, 5], "data": [[0.0] * 5] * rows}]}


def test_health_and_metadata(server: RunningServer) -> None:
    get = server.client.get
    assert get("/v2").json()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"ready": True}
    model = get("/v2/models/delay").json()
    assert model["versions"] == ["1", "2"]
    assert model["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 5]}]
    assert model["outputs"] == [{"name": "prediction", "datatype": "FP32", "shape": [-1, 1]}]
    assert model["parameters"]["columns"][2] == {"name": "temp", "source": "weather"}
    assert get("/v2/models/delay/versions/2").json()["parameters"]["role"] == "challenger"
    assert get("/v2/models/delay/ready").status_code == 200
    assert get("/v2/models/delay/versions/2/ready").status_code == 200
    assert get("/v2/models/reliability").json()["inputs"] == [{"name": "tailnum", "datatype": "BYTES", "shape": [-1]}]


@pytest.mark.parametrize("http", ["", "httptools"], ids=["short way", "uvicorn's own"])
def test_answers_of_what_is_deprecated_say_so(lab: Lab, launch: Launcher, http: str) -> None:
    ends: dict[str, Any] = {"deprecated": "2013-11-06T08:00:00Z", "sunset": "2013-12-21T00:00:00Z"}
    lab.publish(lab.onnx("1", **ends), lab.onnx("2", bias=7, role="challenger"), lab.table({"N1": 0.25}, **ends))
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)
    client = launch.start(http=http).client
    told = {"deprecation": "@1383724800", "sunset": "Sat, 21 Dec 2013 00:00:00 GMT", "x-archlab-clock": "business"}
    asked = {**body(distance=[1.0], hour=[2.0], origin=["JFK"], carrier=["AA"])}
    key = {"inputs": [{"name": "tailnum", "datatype": "BYTES", "shape": [1], "data": ["N1"]}]}
    for answer in (client.post(INFER, json=asked), client.post("/v2/models/reliability/infer", json=key)):
        assert answer.status_code == 200
        assert told.items() <= dict(answer.headers).items()
    other = client.post("/v2/models/delay/versions/2/infer", json=asked)
    assert other.status_code == 200
    assert not told.keys() & other.headers.keys()
    lab.publish(lab.onnx("1"))
    wait_for(lambda: "sunset" not in client.post(INFER, json=asked).headers, "the new feed")


def test_an_answer_says_where_it_comes_from(server: RunningServer) -> None:
    asked = {**body(distance=[1.0], hour=[2.0], origin=["JFK"], carrier=["AA"]), "id": "abc"}
    assert server.client.post(INFER, json=asked).json() == {
        "model_name": "delay",
        "model_version": "1",
        "id": "abc",
        "parameters": {
            "model_version": "1",
            "release": "delay:1",
            "snapshot": 3,
            "features_as_of": "2013-06-01T04:00:00Z",
        },
        "outputs": [{"name": "prediction", "datatype": "FP32", "shape": [1, 1], "data": [8221.0]}],
    }


def test_what_has_not_arrived_in_a_region_is_not_answered_and_says_so(lab: Lab, launch: Launcher) -> None:
    first, second = lab.onnx("1"), lab.onnx("2", bias=7, role="challenger")
    (lab.feed.parent / second["path"]).rename(lab.root / "elsewhere")
    lab.publish(first, second)
    lab.snapshot(3, weather=WEATHER)
    manifest = json.loads(lab.snapshots.read_bytes())
    lab.snapshots.write_text(json.dumps({**manifest, "absent": ["carrier"]}))
    client = launch.start(extra={"ARCHLAB_SERVING_REGION": "west"}).client
    asked = body(distance=[1.0], hour=[2.0], origin=["JFK"], carrier=["AA"])
    lacking = client.post(INFER, json=asked)
    assert lacking.status_code == 503
    assert lacking.json()["error"] == "features of delay have not arrived in region west: carrier"
    refused = client.post("/v2/models/delay/versions/2/infer", json=asked)
    assert refused.status_code == 503
    assert "delay:2 was refused (unreadable): its file has not arrived in region west" in refused.json()["error"]
    lab.snapshot(4, weather=WEATHER, carrier=CARRIER)
    (lab.root / "elsewhere").rename(lab.feed.parent / second["path"])
    wait_for(lambda: client.post(INFER, json=asked).status_code == 200, "the view")
    wait_for(lambda: client.post("/v2/models/delay/versions/2/infer", json=asked).status_code == 200, "the weights")


def test_path_and_header_pick_a_version(server: RunningServer) -> None:
    post = server.client.post
    assert post(INFER, json=whole()).json()["outputs"][0]["data"] == [0]
    assert post("/v2/models/delay/versions/2/infer", json=whole()).json()["outputs"][0]["data"] == [7]
    answer = post(INFER, json=whole(), headers={"x-archlab-version": "2"}).json()
    assert (answer["model_version"], answer["outputs"][0]["data"]) == ("2", [7])


def test_a_large_batch_is_answered_beside_the_event_loop(server: RunningServer) -> None:
    answer = server.client.post(INFER, json=whole(4096)).json()
    assert answer["outputs"][0]["shape"] == [4096, 1]


def test_a_table_answers_by_key(server: RunningServer) -> None:
    answer = server.client.post("/v2/models/reliability/infer", json=body(tailnum=["N1", "N2"], flights=[3.0, 4.0]))
    assert answer.json()["outputs"][0]["data"] == [0.25, None]
    assert answer.json()["parameters"]["features_as_of"] == "2013-06-01T08:00:00Z"


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("/v2/models/gate/infer", whole(), 404, "model 'gate' is not served here; this pool serves delay, reliability"),
        ("/v2/models/delay/versions/9/infer", whole(), 404, "model 'delay' has no version '9' here; loaded are 1, 2"),
        (INFER, body(gate=[1.0]), 400, "tensor 'gate' is neither a key nor a column"),
        (INFER, {**whole(), "outputs": [{"name": "p"}]}, 400, "output 'p' is unknown; this model has prediction"),
        (INFER, {"inputs": []}, 400, "'inputs' must be a list of at least one tensor"),
        (INFER, whole(4097), 400, "tensor 'features' has 4097 rows; 1 to 4096 are taken"),
        ("/v2/models/reliability/infer", body(tailnum=["N1", "N9"]), 404, "batch run r1 has no row for tailnum = 'N9'"),
        ("/v2/models/reliability/infer", body(flights=[1.0]), 400, "tensor 'tailnum' is missing"),
        ("/v2/models/reliability/infer", body(tailnum=["N1"], gate=[1.0]), 400, "tensor 'gate' is unknown"),
        ("/v2/models/reliability/infer", body(tailnum=[1.0]), 400, "tensor 'tailnum' has datatype FP32"),
    ],
)
def test_errors_name_their_cause(
    server: RunningServer, path: str, document: dict[str, Any], status: int, message: str
) -> None:
    answer = server.client.post(path, json=document)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_other_paths_and_methods(server: RunningServer) -> None:
    assert server.client.get("/v2/models/gate").status_code == 404
    assert "error" in server.client.get("/elsewhere").json()
    assert server.client.get("/elsewhere").status_code == 404
    assert server.client.get(INFER).status_code in (404, 405)
    assert server.client.post("/v2/health/live").status_code == 405


def test_a_body_that_is_too_large(server: RunningServer) -> None:
    answer = server.client.post(INFER, content=b" " * ((8 << 20) + 1))
    assert answer.status_code == 413
    assert "at most 8388608 are taken" in answer.json()["error"]

    def chunks() -> Any:
        for _ in range(9):
            yield b" " * (1 << 20)

    assert server.client.post(INFER, content=chunks()).status_code == 413
    assert server.client.post(INFER, json=whole()).status_code == 200


def test_compressed_bodies(server: RunningServer) -> None:
    raw = orjson.dumps(whole())
    for encoding, packed in (("gzip", gzip.compress(raw)), ("deflate", zlib.compress(raw)), ("identity", raw)):
        answer = server.client.post(INFER, content=packed, headers={"content-encoding": encoding})
        assert answer.status_code == 200, encoding
    bomb = gzip.compress(b" " * (20 << 20))
    assert server.client.post(INFER, content=bomb, headers={"content-encoding": "gzip"}).status_code == 413
    assert server.client.post(INFER, content=raw, headers={"content-encoding": "gzip"}).status_code == 400
    assert server.client.post(INFER, content=raw, headers={"content-encoding": "br"}).status_code == 415


def test_metrics_tell_team_model_version_and_code(lab: Lab, launch: Launcher) -> None:
    server = start(lab, launch)
    server.client.post(INFER, json=whole())
    server.client.post(INFER, json=body(gate=[1.0]))
    server.client.post("/v2/models/anything-at-all/infer", json=whole())
    assert server.metric(f'archlab_inference_requests_total{{code="200",{LABELS}}}') == 1
    assert server.metric(f'archlab_inference_requests_total{{code="400",{LABELS}}}') == 1
    assert server.metric('archlab_inference_requests_total{code="404",model="-",team="-",version="-"}') == 1
    assert 0 < server.metric(f"archlab_inference_cpu_seconds_total{{{LABELS}}}") < 1
    assert server.metric('archlab_inference_seconds_count{model="delay",version="1"}') == 2
    assert server.metric('archlab_model_loaded{model="delay",release="delay:1",version="1"}') == 1
    assert server.metric("archlab_feature_snapshot_sequence") == 3
    assert server.metric('archlab_feature_age_seconds{view="carrier"}') == 3 * 3600
    assert server.metric("process_resident_memory_bytes") > 0
    assert "anything-at-all" not in server.client.get("/metrics").text


def test_metered_cpu_time_is_most_of_what_large_batches_take(server: RunningServer) -> None:
    name = f"archlab_inference_cpu_seconds_total{{{LABELS}}}"
    before = server.metric(name), server.metric("process_cpu_seconds_total")
    for _ in range(20):
        server.client.post(INFER, json=whole(4096))
    metered, total = server.metric(name) - before[0], server.metric("process_cpu_seconds_total") - before[1]
    assert 0.2 * total < metered < total + 0.05


def test_the_prediction_log(lab: Lab, launch: Launcher) -> None:
    server = start(lab, launch)
    post = server.client.post
    post(INFER, json=body(origin=["JFK"], carrier=["AA"]), headers={"x-request-id": "from-header"})
    post(INFER, json={**whole(), "id": "from-body"}, headers={"x-request-id": "from-header"})
    post(INFER, json=whole())
    wait_for(lambda: lab.prediction_log.exists() and lab.prediction_log.read_bytes().count(b"\n") == 3, "three lines")
    first, second, third = (orjson.loads(line) for line in lab.prediction_log.read_bytes().splitlines())
    assert (first["request_id"], first["release"], first["snapshot"]) == ("from-header", "delay:1", 3)
    assert first["keys"] == {"origin": ["JFK"], "carrier": ["AA"]}
    assert first["us"] > 0
    assert (second["request_id"], second["correlation_id"]) == ("from-body", "from-header")
    assert third["request_id"].startswith("server-0-")
    assert (third["correlation_id"], third["status"], third["shadow"]) == ("", 200, False)


def test_a_mirrored_request_is_answered_by_the_version_that_the_gateway_names(lab: Lab, launch: Launcher) -> None:
    server = start(lab, launch)
    copy = {"x-archlab-shadow": "true", "x-archlab-version": "2", "x-request-id": "a"}
    pinned = INFER.replace("/infer", "/versions/1/infer")
    assert server.client.post(pinned, json=whole(), headers=copy).json()["parameters"]["model_version"] == "2"
    assert server.client.post(INFER, json=whole(), headers={"x-request-id": "a"}).status_code == 200
    assert server.metric('archlab_shadow_requests_total{code="200",model="delay",version="2"}') == 1
    wait_for(lambda: lab.prediction_log.exists() and lab.prediction_log.read_bytes().count(b"\n") == 2, "two lines")
    mirrored, live = (orjson.loads(line) for line in lab.prediction_log.read_bytes().splitlines())
    assert [(r["correlation_id"], r["shadow"], r["version"]) for r in (mirrored, live)] == [
        ("a", True, "2"),
        ("a", False, "1"),
    ]


def test_failures_of_models_and_of_copies_are_in_the_prediction_log(lab: Lab, launch: Launcher) -> None:
    server = start(lab, launch)
    wrong = {"inputs": [{"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]}]}
    assert server.client.post(INFER, json=wrong, headers={"x-archlab-version": "2"}).status_code == 400
    assert server.client.post("/v2/models/unknown/infer", json=whole()).status_code == 404
    gone = {"x-archlab-shadow": "true", "x-archlab-version": "9", "x-request-id": "b"}
    assert server.client.post(INFER, json=whole(), headers=gone).status_code == 404
    wait_for(lambda: lab.prediction_log.exists() and lab.prediction_log.read_bytes().count(b"\n") == 2, "two lines")
    failed, missing = (orjson.loads(line) for line in lab.prediction_log.read_bytes().splitlines())
    assert (failed["version"], failed["status"], failed["prediction"], failed["shadow"]) == ("2", 400, [], False)
    assert (missing["version"], missing["status"], missing["correlation_id"], missing["shadow"]) == (
        "9",
        404,
        "b",
        True,
    )
    assert server.metric('archlab_shadow_requests_total{code="404",model="delay",version="9"}') == 1


def test_shutdown_writes_the_last_predictions(lab: Lab, launch: Launcher) -> None:
    server = start(lab, launch)
    for _ in range(5):
        server.client.post(INFER, json=whole())
    assert server.stop() in (0, -signal.SIGTERM)
    assert lab.prediction_log.read_bytes().count(b"\n") == 5


def test_a_request_in_flight_is_answered_before_the_end(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx())
    server = launch.start(port=True)
    host, _, port = server.address.partition(":")
    raw = orjson.dumps(whole())
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode() + raw[:10])
        wait_for(lambda: server.metric("archlab_inference_in_flight") == 1, "the request to begin")
        server.client.close()
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Shutting down" in server.log.read_text(), "the shutdown to begin")
        connection.sendall(raw[10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert server.process.wait(60) in (0, -signal.SIGTERM)


def test_too_many_requests_at_once_get_503(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx())
    server = launch.start(port=True, extra={"ARCHLAB_SERVING_MAX_CONCURRENCY": "1"})
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as waiting:
        waiting.sendall(f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n".encode())
        wait_for(lambda: server.metric("archlab_inference_in_flight") == 1, "the request to begin")
        answer = server.client.post(INFER, json=whole())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
    wait_for(lambda: server.client.post(INFER, json=whole()).status_code == 200, "the place to be free again")


def test_without_a_feed_the_server_lives_but_is_not_ready(lab: Lab, launch: Launcher) -> None:
    server = launch.start(wait=False)
    wait_for(lambda: "running on" in server.log.read_text(), "the start")
    assert server.client.get("/v2/health/live").status_code == 200
    assert server.client.get("/v2/health/ready").status_code == 503
    answer = server.client.post(INFER, json=whole())
    assert answer.status_code == 503
    assert "feed has not been read" in answer.json()["error"]
    lab.publish(lab.onnx())
    wait_for(server.ready, "the feed")
    assert server.client.post(INFER, json=whole()).status_code == 200


def test_a_missing_variable_ends_the_start(launch: Launcher) -> None:
    server = launch.start(wait=False, extra={"ARCHLAB_SERVING_FEED": ""})
    assert server.process.wait(60) != 0
    assert "ARCHLAB_SERVING_FEED is not set" in server.log.read_text()
