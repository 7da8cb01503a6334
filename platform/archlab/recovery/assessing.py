"""No promotion that may lose data without a word: what a runbook says before anything is fenced."""

from __future__ import annotations

from archlab.errors import ConflictError


def assess(taking: str, why: str, *, lossless: bool, accepted: bool) -> str:
    """What a promotion would lose, in words.

    Args:
        taking: the region that would take over.
        why: what is known of how far it is behind, as part of a sentence.
        lossless: whether no write counted before it was there.
        accepted: whether somebody accepts that acknowledged writes may be missing.

    Raises:
        ConflictError: acknowledged writes may be missing, and nobody accepted it.
    """
    if lossless:
        return f"every acknowledged write is in {taking}: no write counted before it was there"
    if not accepted:
        raise ConflictError(
            f"{taking} may lack acknowledged writes: {why}.",
            "Wait for the lost region, or accept it: --accept-data-loss",
        )
    return f"{taking} may lack acknowledged writes ({why}); accepted"
