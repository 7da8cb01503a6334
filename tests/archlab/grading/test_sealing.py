"""Boxes: who can open them, and that a changed one stays shut."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from archlab.grading import sealing
from archlab.grading.sealing import ClosedError, new_code, open_with_code, open_with_key, seal
from archlab.spec.pack import Sealed


@pytest.fixture(scope="module")
def own() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


def _public(key: X25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _private(key: X25519PrivateKey) -> str:
    return key.private_bytes_raw().hex()


def test_the_key_and_the_code_open_it(own: X25519PrivateKey) -> None:
    code = new_code()
    box = seal(b"seed 7", _public(own), code)
    assert open_with_key(box, _private(own)) == b"seed 7"
    assert open_with_code(box, code) == b"seed 7"
    assert open_with_code(box, f" {code.lower().replace('-', ' ')} ") == b"seed 7"
    assert b"seed" not in box.model_dump_json().encode()


def test_nothing_else_opens_it(own: X25519PrivateKey) -> None:
    box = seal(b"seed 7", _public(own), new_code())
    with pytest.raises(ClosedError):
        open_with_key(box, _private(X25519PrivateKey.generate()))
    with pytest.raises(ClosedError):
        open_with_code(box, new_code())
    with pytest.raises(ClosedError):
        open_with_code(seal(b"x", _public(own)), new_code())


@pytest.mark.parametrize("changed", ["ciphertext", "nonce", "wrapped", "salt", "dropped"])
def test_a_changed_box_stays_shut(own: X25519PrivateKey, changed: str) -> None:
    box = seal(b"seed 7", _public(own), new_code())
    facts = box.model_dump()
    if changed == "dropped":
        facts["stanzas"] = facts["stanzas"][:1]
    else:
        place = facts if changed in facts else facts["stanzas"][0]
        place[changed] = ("0" if place[changed][0] != "0" else "1") + place[changed][1:]
    with pytest.raises(ClosedError):
        open_with_key(Sealed.model_validate(facts), _private(own))


def test_a_code_has_eighty_bits_and_no_letters_to_misread() -> None:
    codes = {new_code() for _ in range(50)}
    assert len(codes) == 50
    assert all(len(c) == 19 and not set(c) & set("ILOU") for c in codes)
    assert len(sealing._ALPHABET) == 32
    assert sealing.tidy("o1-il") == "0111"
