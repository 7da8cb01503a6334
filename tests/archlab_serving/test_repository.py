from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tests.archlab_serving.conftest import POOL, Lab, linear_model

from archlab_serving.errors import UnavailableError, UnknownModelError
from archlab_serving.feed import NO_FEED, read_feed
from archlab_serving.metrics import Metrics
from archlab_serving.repository import Loaded, Loader
from archlab_serving.residency import Residency
from archlab_serving.runtime import OnnxModel, Table
from onnx_models import weighty


class Follower:
    """Loads what the lab publishes, beside what was loaded before."""

    def __init__(self, lab: Lab, **changes: Any) -> None:
        settings = lab.settings(**changes)
        self.lab = lab
        self.metrics = Metrics(settings)
        self.residency = Residency(settings, self.metrics)
        self.loader = Loader(settings, self.metrics, self.residency)
        self.feed = NO_FEED
        self.loaded = Loaded()

    def take(self, *entries: dict[str, Any]) -> Loaded:
        self.lab.publish(*entries)
        self.feed = read_feed(self.lab.feed, POOL, self.feed)
        checked = self.loader.check(self.feed, self.loaded)
        self.loaded = asyncio.run(self.loader.load(checked, self.loaded))
        return self.loaded

    def refused(self, model: str, reason: str) -> float:
        labels = {"model": model, "reason": reason}
        return self.metrics.registry.get_sample_value("archlab_release_refused_total", labels) or 0.0


@pytest.fixture
def follower(lab: Lab) -> Iterator[Follower]:
    made = Follower(lab)
    yield made
    made.residency.close()


def answer(loaded: Loaded, model: str = "delay", version: str = "") -> float:
    backend = loaded.select(model, version).backend
    assert isinstance(backend, OnnxModel)
    return float(backend.predict(np.zeros((1, 5), dtype=np.float32))[0, 0])


def test_champion_and_challenger_are_loaded_side_by_side(follower: Follower, lab: Lab) -> None:
    loaded = follower.take(lab.onnx("1", bias=1), lab.onnx("2", bias=2, role="challenger"))
    assert (answer(loaded), answer(loaded, version="1"), answer(loaded, version="2")) == (1, 1, 2)


def test_an_unchanged_release_keeps_its_session(follower: Follower, lab: Lab) -> None:
    entry = lab.onnx()
    before = follower.take(entry).select("delay")
    assert follower.take(entry, lab.onnx(model="other")).select("delay") is before


def test_a_change_of_role_keeps_the_session(follower: Follower, lab: Lab) -> None:
    one, two = lab.onnx("1", bias=1), lab.onnx("2", bias=2)
    before = follower.take(one, lab.onnx("2", bias=2, role="challenger")).select("delay", "2")
    after = follower.take(two).select("delay")
    assert after.backend is before.backend
    assert after.release.role == "champion"


def test_a_replaced_session_is_freed(follower: Follower, lab: Lab) -> None:
    gone = weakref.ref(follower.take(lab.onnx("1")).select("delay"))
    follower.take(lab.onnx("2", bias=1))
    gc.collect()
    assert gone() is None


def test_a_refused_champion_leaves_the_last_good_one(follower: Follower, lab: Lab) -> None:
    follower.take(lab.onnx("1", bias=1))
    loaded = follower.take({**lab.onnx("2", bias=2), "signature": "AAAA"})
    assert answer(loaded) == 1
    assert follower.refused("delay", "signature") == 1
    with pytest.raises(UnavailableError, match=r"release delay:2 was refused \(signature\)"):
        loaded.select("delay", "2")


def test_a_refusal_is_counted_once(follower: Follower, lab: Lab) -> None:
    bad = {**lab.onnx(), "signature": "AAAA"}
    follower.take(bad)
    follower.take(bad)
    assert follower.refused("delay", "signature") == 1


def test_a_refused_challenger_leaves_the_champion_alone(follower: Follower, lab: Lab) -> None:
    follower.take(lab.onnx("1", bias=1), lab.onnx("2", bias=2, role="challenger"))
    bad = {**lab.onnx("3", bias=3, role="challenger"), "signature": "AAAA"}
    loaded = follower.take(lab.onnx("4", bias=4), bad)
    assert (answer(loaded), answer(loaded, version="2")) == (4, 2)


def test_the_last_good_champion_stays_when_its_version_becomes_the_challenger(follower: Follower, lab: Lab) -> None:
    one = lab.onnx("1", bias=1)
    follower.take(one)
    loaded = follower.take({**lab.onnx("2"), "signature": "AAAA"}, {**one, "role": "challenger"})
    assert answer(loaded) == 1


def test_a_refused_first_release_is_told_apart_from_an_unknown_model(follower: Follower, lab: Lab) -> None:
    loaded = follower.take({**lab.onnx(), "signature": "AAAA"}, lab.onnx(model="other"))
    with pytest.raises(UnavailableError, match="does not verify"):
        loaded.select("delay")
    with pytest.raises(UnknownModelError, match=r"'gate' is not served here; this pool serves other"):
        loaded.select("gate")
    with pytest.raises(UnknownModelError, match="no version '7' here; loaded are 1"):
        loaded.select("other", "7")


def test_a_challenger_alone_answers_only_when_asked_for(follower: Follower, lab: Lab) -> None:
    loaded = follower.take(lab.onnx("1", bias=1, role="challenger"))
    assert answer(loaded, version="1") == 1
    with pytest.raises(UnavailableError, match="has no champion"):
        loaded.select("delay")


def test_before_the_first_feed_nothing_is_known() -> None:
    with pytest.raises(UnavailableError, match="has not been read"):
        Loaded().select("delay")


def test_a_model_that_leaves_the_feed_is_dropped(follower: Follower, lab: Lab) -> None:
    follower.take(lab.onnx())
    assert follower.take().find("delay") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a model", "ONNX Runtime refuses"),
        (linear_model([1.0, 2.0]), "takes 2 columns, the release names 5"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(follower: Follower, lab: Lab, data: bytes, message: str) -> None:
    loaded = follower.take(lab.release(data))
    assert message in loaded.refused["delay:1"].message
    assert follower.refused("delay", "contract") == 1


def test_without_a_key_nothing_is_served(follower: Follower, lab: Lab) -> None:
    lab.public_key.unlink()
    assert follower.take(lab.onnx()).refused["delay:1"].reason == "key"


def test_a_new_batch_run_replaces_the_last(follower: Follower, lab: Lab) -> None:
    follower.take(lab.table({"N1": 0.25}, run="r1"))
    table = follower.take(lab.table({"N1": 0.5}, run="r2")).select("reliability").backend
    assert isinstance(table, Table)
    assert table.look_up([["N1"]]).ravel().tolist() == [0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "2", "id": "reliability:2:r1"}, "expected"),
        ({"table_keys": ["origin"]}, "expected"),
    ],
)
def test_another_models_table_is_refused(follower: Follower, lab: Lab, changes: dict[str, Any], message: str) -> None:
    (refusal,) = follower.take(lab.table({"N1": 0.25}, **changes)).refused.values()
    assert refusal.reason == "contract"
    assert message in refusal.message


def test_a_table_of_texts_is_refused(follower: Follower, lab: Lab) -> None:
    (refusal,) = follower.take(lab.table({"N1": "high"})).refused.values()  # type: ignore[dict-item]
    assert refusal.reason == "contract"


def in_memory(loaded: Loaded) -> set[str]:
    return {served.release.id for served in loaded.served() if served.file.backend is not None}


@pytest.fixture
def lazy(lab: Lab) -> Iterator[Follower]:
    made = Follower(lab, loading="lazy", pinned=frozenset({"pinned"}))
    yield made
    made.residency.close()


def test_lazily_only_pinned_models_are_loaded_and_the_rest_is_verified(lazy: Follower, lab: Lab) -> None:
    unsigned = {**lab.onnx(model="unsigned"), "signature": "AAAA"}
    loaded = lazy.take(lab.onnx(), lab.onnx(model="pinned"), unsigned)
    assert in_memory(loaded) == {"pinned:1"}
    assert loaded.find("delay") is not None
    assert loaded.refused["unsigned:1"].reason == "signature"


def test_lazily_a_model_in_use_gets_its_next_version_before_the_switch(lazy: Follower, lab: Lab) -> None:
    served = lazy.take(lab.onnx("1"), lab.onnx("1", model="cold")).select("delay")
    asyncio.run(lazy.residency.load(served.file))
    loaded = lazy.take(lab.onnx("2"), lab.onnx("2", model="cold"))
    assert in_memory(loaded) == {"delay:2"}
    loaded = lazy.take(lab.release(b"not a model", version="3"))
    assert loaded.refused["delay:3"].reason == "contract"
    assert in_memory(loaded) == {"delay:2"}


def test_eagerly_pinned_models_and_champions_come_first_while_there_is_room(lab: Lab) -> None:
    follower = Follower(lab, pinned=frozenset({"pinned"}), memory_limit_bytes=int(3.5 * 2**20))
    columns: dict[str, Any] = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}
    entries = [
        lab.release(weighty(1, number), model=model, role=role, **columns)
        for number, (model, role) in enumerate(
            [
                ("one", "challenger"),
                ("two", "champion"),
                ("three", "champion"),
                ("pinned", "champion"),
                ("x", "champion"),
            ]
        )
    ]
    loaded = follower.take(*entries)
    follower.residency.close()
    assert in_memory(loaded) == {"pinned:1", "two:1", "three:1"}
    assert len(list(loaded.served())) == 5
    assert not loaded.refused


def two_inputs(*names: str) -> bytes:
    tensors = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows"]) for name in (*names, "total")]
    graph = helper.make_graph([helper.make_node("Add", list(names), ["total"])], "sum", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_a_tensor_model_with_other_inputs_is_refused(follower: Follower, lab: Lab, role: str) -> None:
    plain: dict[str, Any] = {"model": "sum", "columns": [], "keys": []}
    first = lab.release(two_inputs("left", "right"), version="1", **plain)
    follower.take(first)
    second = lab.release(two_inputs("left", "write"), version="2", role=role, **plain)
    loaded = follower.take(second) if role == "champion" else follower.take(first, second)
    assert loaded.select("sum").release.version == "1"
    assert loaded.refused["sum:2"].reason == "inputs"
    assert "takes and answers left INT64 [-1], write INT64 [-1] -> total" in loaded.refused["sum:2"].message
    assert follower.refused("sum", "inputs") == 1


def test_a_columnar_model_may_take_other_columns(follower: Follower, lab: Lab) -> None:
    follower.take(lab.onnx("1", bias=1))
    columns = [{"name": name, "source": "request"} for name in ("dep_delay", "distance", "hour", "temp", "late")]
    loaded = follower.take(lab.onnx("2", bias=2, columns=columns))
    assert answer(loaded) == 2


def test_a_file_that_moved_is_not_loaded_again(follower: Follower, lab: Lab) -> None:
    entry = lab.onnx()
    before = follower.take(entry).select("delay")
    moved = lab.feed.parent / "blobs" / "moved"
    (lab.feed.parent / entry["path"]).rename(moved)
    after = follower.take({**entry, "path": "blobs/moved"}).select("delay")
    assert after.backend is before.backend
    assert after.file.release.path == "blobs/moved"


def test_custom_operators_are_refused(follower: Follower, lab: Lab) -> None:
    node = helper.make_node("Shell", ["features"], ["prediction"], domain="com.example")
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 5])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph([node], "g", [features], [prediction])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    data = bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    assert "com.example" in follower.take(lab.release(data)).refused["delay:1"].message
