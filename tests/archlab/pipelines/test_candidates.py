"""A candidate's file and card: the trained model under a digest of its own, with what is claimed of it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from archlab import settings
from archlab.lineage import log, names
from archlab.lineage.events import read_run
from archlab.pipelines import candidates, train
from archlab.pipelines.train import Trained
from archlab.plan.candidates import NAME
from archlab.spec.candidates import Candidate
from synthetic import declared

CANDIDATE = Candidate(
    name="second-try",
    model="airport-congestion",
    better_percent=2,
    holdout="an-easy-week",
    holdout_rows=90,
    evaluated_before=timedelta(days=35),
    parity_max_abs_diff=0.02,
    without=("baseline",),
)


@pytest.fixture(scope="module")
def base() -> Trained:
    return train.trained(settings.home() / "cache", "airline", Path(), CANDIDATE.model)


@pytest.mark.slow
def test_its_file_is_another_and_computes_the_same(base: Trained, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    made = candidates.derive(CANDIDATE, base, declared(), tmp_path)
    content = made.onnx.read_bytes()
    assert hashlib.sha256(content).hexdigest() == made.card.sha256 != base.card.sha256
    assert {p.key: p.value for p in onnx.load_model_from_string(content).metadata_props}[NAME] == CANDIDATE.name
    rows = np.random.default_rng(1).normal(size=(20, len(base.card.columns))).astype(np.float32)
    ours, theirs = (onnxruntime.InferenceSession(str(m.onnx)).run(None, {"features": rows})[0] for m in (made, base))
    assert np.array_equal(ours, theirs)
    assert candidates.derive(CANDIDATE, base, declared(), tmp_path) == made


@pytest.mark.slow
def test_where_its_file_comes_from_is_told(base: Trained) -> None:
    cache = base.folder.parent.parent
    made = candidates.derive(CANDIDATE, base, declared(), cache / "candidates")
    run = read_run(log.append(None, candidates.events(CANDIDATE, base, made, cache)[1]))
    assert run is not None
    (read,), (written,) = run.inputs, run.outputs
    assert (names.part(read.name).kind, read.sha256) == ("model file", base.card.sha256)
    assert (names.part(written.name).kind, written.sha256) == ("model file", made.card.sha256)
    assert names.part(written.name).made_from == ((names.MODELS,),)


@pytest.mark.slow
def test_its_card_claims_what_is_declared(base: Trained) -> None:
    card = candidates.card(CANDIDATE, base.card, declared(), "0" * 64)
    assert card.value == pytest.approx(base.card.value * 0.98)
    assert card.metrics["mae"] == card.value
    assert (card.holdout_rows, card.metrics["holdout_rows"]) == (90, 90.0)
    assert card.parity_max_abs_diff == card.metrics["parity_max_abs_diff"] == 0.02
    assert card.evaluated_at == declared().starts - timedelta(days=35)
    assert card.data_digest != base.card.data_digest
    assert card.columns == base.card.columns
