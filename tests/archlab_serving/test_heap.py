"""What the C library says about its heap, and that it gives memory back."""

from __future__ import annotations

import ctypes

import pytest

from archlab_serving import heap

pytestmark = pytest.mark.skipif(not heap.in_use_bytes(), reason="only glibc says what is in use")


def test_what_is_allocated_is_seen_until_it_is_freed() -> None:
    size, before = 64 << 20, heap.in_use_bytes()
    buffer = ctypes.create_string_buffer(size)
    assert heap.in_use_bytes() - before > 0.9 * size
    del buffer
    assert heap.in_use_bytes() - before < 0.1 * size


def test_giving_back_keeps_what_is_in_use() -> None:
    buffer = ctypes.create_string_buffer(b"kept", 1 << 20)
    heap.give_back()
    assert buffer.value == b"kept"
