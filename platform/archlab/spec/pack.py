"""An instructor's exam pack, what is sealed in it, and what a learner hands in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import Sha256, Slug, Spec, UtcTime
from .gradebook import PublicKey, Signature

Hex = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=2 * 2**20)]
"""Bytes in hexadecimal."""


class Stanza(Spec):
    """The content key, wrapped for one way of opening the box."""

    kind: Literal["x25519", "code"]
    salt: Hex
    """x25519: the ephemeral public key; code: random bytes."""
    wrapped: Hex


class Sealed(Spec):
    """A box: ChaCha20-Poly1305 under a random key, which each stanza wraps. The stanzas are authenticated with it."""

    format: Literal["archlab/sealed/v1"] = "archlab/sealed/v1"
    stanzas: tuple[Stanza, ...] = Field(min_length=1, max_length=4)
    nonce: Hex
    ciphertext: Hex


class Seat(Spec):
    """One learner's place. Its secret opens with the seat's start code or the instructor's key."""

    label: Slug
    sealed: Sealed


class SeatSecret(Spec):
    """What is sealed per seat."""

    label: Slug
    seed: int
    """The lab's."""
    selection_seed: int
    """Draws the questions."""


class Control(Spec):
    """A code that stops or lengthens the clock; only its digest is in the pack."""

    seat: Slug
    action: Literal["pause", "extend"]
    minutes: int = Field(ge=1, le=24 * 60)
    code_sha256: Sha256


class Hidden(Spec):
    """What only the instructor's key opens: every seat's secret."""

    format: Literal["archlab/hidden/v1"] = "archlab/hidden/v1"
    seats: tuple[SeatSecret, ...]


class ExamPack(Spec):
    """An exam as an instructor hands it out; signed over the canonical JSON of all other fields."""

    format: Literal["archlab/pack/v1"] = "archlab/pack/v1"
    title: str = Field(max_length=200)
    made: UtcTime
    scenario: Slug
    content: str
    """Version of questions and graders that it was made for."""
    minutes: int = Field(ge=1, le=24 * 60)
    questions: int | None = Field(default=None, ge=1)
    blueprint: str = ""
    seats: tuple[Seat, ...] = Field(min_length=1, max_length=500)
    controls: tuple[Control, ...] = ()
    hidden: Sealed
    sealing_key: PublicKey
    signing_key: PublicKey
    signature: Signature


class InstructorKey(Spec):
    """The instructor's private keys, in a file of mode 0600."""

    format: Literal["archlab/instructor-key/v1"] = "archlab/instructor-key/v1"
    sealing: PublicKey
    """Raw X25519 private key: opens what is sealed."""
    signing: PublicKey
    """Raw Ed25519 private key: signs packs."""


class HandIn(Spec):
    """`hand-in.json` in what a learner hands in; signed by the lab's gradebook key."""

    format: Literal["archlab/hand-in/v1"] = "archlab/hand-in/v1"
    learner: Annotated[str, StringConstraints(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]{1,100}$")]
    """No control characters, nothing that turns the direction of text."""
    lab: str = Field(max_length=100)
    scenario: Slug
    seed: int
    code_version: str = Field(max_length=100)
    made: UtcTime
    entries: int
    head: Sha256
    key: PublicKey
    signature: Signature


class Anchor(Spec):
    """A chain head as an instructor saw it; a later gradebook of that key must still contain it."""

    format: Literal["archlab/anchor/v1"] = "archlab/anchor/v1"
    learner: str
    pack: str
    """Digest of the pack that it was handed in for."""
    key: PublicKey
    sequence: int
    head: Sha256
    noted: UtcTime
