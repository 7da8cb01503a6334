from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.archlab_serving.conftest import POOL, Lab, linear_model

from archlab_serving.errors import UnavailableError, UnknownModelError
from archlab_serving.feed import NO_FEED, read_feed
from archlab_serving.metrics import Metrics
from archlab_serving.repository import Loaded, Loader
from archlab_serving.residency import Residency
from archlab_serving.runtime import OnnxModel, Table


class Follower:
    """Loads what the lab publishes, beside what was loaded before."""

    def __init__(self, lab: Lab) -> None:
        settings = lab.settings()
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
