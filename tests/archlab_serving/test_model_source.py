"""Large models reach ONNX Runtime through a file in memory, small ones as bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archlab_serving.model_source import loadable


def test_a_small_file_stays_bytes() -> None:
    with loadable(b"small") as source:
        assert source == b"small"


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory are Linux's")
def test_a_large_file_has_a_path_until_it_is_loaded() -> None:
    data = bytes(range(256)) * 2048
    with loadable(data) as source:
        assert isinstance(source, str)
        assert Path(source).read_bytes() == data
    assert not Path(source).exists()
