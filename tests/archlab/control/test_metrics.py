"""One exposition out of many: each family once, unit and replica on every sample."""

from __future__ import annotations

import http.server
import socketserver
import threading
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from archlab.control.metrics import merge
from archlab.settings import LabFolder
from control_process import START, Control, made_tick

SERVER = """# HELP archlab_inference_requests_total Requests.
# TYPE archlab_inference_requests_total counter
archlab_inference_requests_total{team="ops",model="flight-time",code="200"} %d
# HELP archlab_inference_seconds Time.
# TYPE archlab_inference_seconds histogram
archlab_inference_seconds_bucket{model="flight-time",le="+Inf"} 3
archlab_inference_seconds_count{model="flight-time"} 3
archlab_inference_seconds_sum{model="flight-time"} 0.5
# HELP process_resident_memory_bytes Memory.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 4.2e+07
"""


def test_families_are_merged_and_samples_labelled() -> None:
    text = merge(({"unit": "online", "replica": str(n)}, SERVER % n) for n in range(2))
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert text.count("# TYPE archlab_inference_seconds histogram") == 1
    requests = families["archlab_inference_requests"].samples
    assert {(s.labels["unit"], s.labels["replica"], s.value) for s in requests} == {
        ("online", "0", 0.0),
        ("online", "1", 1.0),
    }
    assert len(families["archlab_inference_seconds"].samples) == 6
    assert {s.labels["replica"] for s in families["process_resident_memory_bytes"].samples} == {"0", "1"}


def test_labels_of_the_sample_win_and_odd_values_survive() -> None:
    text = merge([({"unit": "u"}, 'a{unit="own",path="C:\\\\x \\"}y"} 1\nb 2 1700000000000\nnonsense line here { \n')])
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert families["a"].samples[0].labels == {"unit": "own", "path": 'C:\\x "}y'}
    assert families["b"].samples[0].labels == {"unit": "u"}


def test_control_scrapes_the_replicas_that_answer(idle: Control) -> None:
    with Replica(idle.folder, "online-1"), idle.client() as client:
        response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(response.text)}
    up = {(s.labels["unit"], s.labels["replica"]): s.value for s in families["archlab_up"].samples}
    assert up == {("online", "0"): 0.0, ("online", "1"): 1.0, ("bento", "0"): 0.0, ("lookup", "0"): 0.0}
    assert families["archlab_inference_requests"].samples[0].labels["replica"] == "1"
    assert "archlab_clock_seconds" in families


def test_the_bill_is_a_metric(control: Control) -> None:
    for number in range(2):
        control.post("/ticks", made_tick(START + number * timedelta(minutes=30)).model_dump_json())
    with control.client() as client:
        families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    bill = families["archlab_cost_usd"]
    assert bill.type == "counter"
    amounts = {sample.labels["kind"]: round(sample.value * 1e9) for sample in bill.samples}
    lines = control.get("/cost?by=kind")["lines"]
    assert amounts == {line["kind"]: line["cost_nanousd"] for line in lines}
    assert {sample.labels["model"] for sample in bill.samples} == {"departure-delay"}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write((SERVER % 7).encode())

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_args: object) -> None:
        """Quiet."""


class Replica:
    """A server of metrics on a replica's socket."""

    def __init__(self, folder: LabFolder, name: str) -> None:
        self._server = socketserver.ThreadingUnixStreamServer(str(folder.socket(name)), _Handler)
        self._path = folder.socket(name)

    def __enter__(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink()
