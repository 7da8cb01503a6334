from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, body, wait_for
from tritonclient import http as triton

from archlab_serving.bento import BentoMissingError, build, load

INFER = "/v2/models/delay/infer"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store and the tag of the Bento in it."""
    folder = tmp_path_factory.mktemp("bentos")
    return folder, build(folder)


@pytest.mark.slow
def test_a_built_bento_serves_from_its_own_copy(store: tuple[Path, str], lab: Lab, launch: Launcher) -> None:
    folder, tag = store
    source = folder / "bentos" / tag.replace(":", "/") / "src"
    about = source / "archlab_serving" / "__init__.py"
    about.write_text(about.read_text().replace("0.1.0", "0.1.0+copy"))
    lab.publish(lab.onnx())
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)
    bento = {"BENTOML_HOME": str(folder), "ARCHLAB_SERVING_BENTO": tag}
    server = launch.start("archlab_serving.bento:app", port=True, extra=bento)
    client = server.client
    asked = body(distance=[1.0], hour=[2.0], origin=["JFK"], carrier=["AA"])
    assert client.post(INFER, json=asked).json()["outputs"][0]["data"] == [8221.0]
    assert client.get("/readyz").status_code == 200
    metrics = client.get("/metrics").text
    assert 'archlab_server_info{pool="online",replica="0",runtime="bento",unit="server"} 1.0' in metrics
    assert f'service_version="{tag.partition(":")[2]}"' in metrics or "bentoml_" in metrics
    series = [line.rpartition(" ")[0] for line in metrics.splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)
    tensor = triton.InferInput("features", [1, 5], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 5), dtype=np.float32))
    with triton.InferenceServerClient(server.address) as binary:
        assert binary.infer("delay", [tensor]).as_numpy("prediction").tolist() == [[0.0]]
    lab.publish(lab.onnx("2", bias=2))
    wait_for(lambda: client.post(INFER, json=asked).json()["model_version"] == "2", "the next release")
    logged = client.get("/metrics").text.count("archlab_inference_requests_total{")
    assert logged >= 2
    server.stop()
    assert lab.prediction_log.read_bytes().count(b"\n") >= 3


def test_a_missing_tag_is_explained() -> None:
    with pytest.raises(BentoMissingError, match="must name a built Bento"):
        load({})


def test_an_unknown_tag_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BentoMissingError, match=r"archlab_serving:gone.*holds no Bento"):
        load({"BENTOML_HOME": str(tmp_path), "ARCHLAB_SERVING_BENTO": "archlab_serving:gone"})
