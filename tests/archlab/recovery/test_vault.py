from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlab.recovery import vault
from archlab.recovery.vault import PIECE, TAG_BYTES, DamagedError, Opened, Sealer, fingerprint, key_in

KEY, OTHER = bytes(range(32)), bytes(32)
HEAD = len(vault.MAGIC) + vault.NAME_BYTES + vault.SALT_BYTES


def sealed(*pieces: bytes) -> bytes:
    sink = BytesIO()
    sealer = Sealer(sink, KEY)
    for piece in pieces:
        sealer.write(piece)
    sealer.close()
    return sink.getvalue()


def opened(content: bytes, key: bytes = KEY) -> bytes:
    return Opened(BytesIO(content), key).read()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17])
def test_what_is_sealed_opens_whatever_its_size(size: int) -> None:
    content = bytes(n % 251 for n in range(1000)) * (size // 1000 + 1)
    assert opened(sealed(content[:size])) == content[:size]


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(0, 60), max_size=12))
def test_pieces_come_back_in_any_portions(pieces: list[bytes], sizes: list[int]) -> None:
    reader, whole = Opened(BytesIO(sealed(*pieces)), KEY), b"".join(pieces)
    found = b"".join(reader.read(size) for size in sizes)
    assert found + reader.read() == whole


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_bit_is_noticed(data: st.DataObject) -> None:
    content = bytearray(sealed(b"weights " * 100))
    place = data.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    with pytest.raises(DamagedError):
        opened(bytes(content))


@pytest.mark.parametrize("left", [0, 10, HEAD, HEAD + 5, HEAD + PIECE + TAG_BYTES, HEAD + PIECE + TAG_BYTES + 3])
def test_a_file_that_is_cut_off_is_noticed_also_between_two_pieces(left: int) -> None:
    with pytest.raises(DamagedError):
        opened(sealed(bytes(2 * PIECE + 9))[:left])


def test_pieces_can_t_be_exchanged_or_added() -> None:
    whole = sealed(bytes(PIECE), b"\1" * PIECE, b"end")
    first, second = (whole[HEAD + n * (PIECE + TAG_BYTES) : HEAD + (n + 1) * (PIECE + TAG_BYTES)] for n in (0, 1))
    for changed in (whole[:HEAD] + second + first + whole[HEAD + 2 * len(first) :], whole + b"\0" * 40):
        with pytest.raises(DamagedError, match="piece"):
            opened(changed)


def test_another_key_is_named_and_the_same_content_never_looks_the_same() -> None:
    with pytest.raises(DamagedError, match=f"made with key {fingerprint(KEY)}; this is key {fingerprint(OTHER)}"):
        opened(sealed(b"x"), OTHER)
    assert sealed(b"x") != sealed(b"x")
    assert b"metadata" not in sealed(b"metadata")


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "backup.key"
    made = key_in(path)
    assert key_in(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("short")
    with pytest.raises(DamagedError, match="no key"):
        key_in(path)


def test_of_several_who_draw_a_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    together = Barrier(8)

    def draw(path: Path) -> bytes:
        together.wait(60)
        return key_in(path)

    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            path = tmp_path / f"{number}" / "backup.key"
            assert len(set(pool.map(draw, [path] * 8))) == 1
            assert [p.name for p in path.parent.iterdir()] == ["backup.key"]
            assert path.stat().st_mode & 0o777 == 0o600
