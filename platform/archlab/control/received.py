"""Control's copies of the pods' prediction logs: appended to, rotated, and forgotten when the pods are long gone.

`<pod>.jsonl` grows; `<pod>.jsonl.<N>` is what came before, N being the length of the log up to the end of that file. So
a copy's length counts from the log's first byte, whatever has gone since.
"""

from __future__ import annotations

from pathlib import Path

from archlab.errors import ConflictError

ROTATE_BYTES = 16 << 20
"""A copy of this length is set aside; of those set aside only the newest stays, for who is still reading it."""
KEPT_LOGS = 40
"""Copies that stay; a lab has at most some twenty pods at a time."""


def append(path: Path, content: bytes, offset: int, oldest: int, rotate_bytes: int = ROTATE_BYTES) -> int:
    """Take the next bytes of a log; the copy's length.

    Args:
        path: the copy, `<pod>.jsonl`.
        content: may begin with bytes that are there already: they are passed over.
        offset: of its first byte, from the log's beginning.
        oldest: first byte that the pod still has.
        rotate_bytes: length from which the copy is set aside.

    Raises:
        ConflictError: bytes before these are missing, and the pod has them.
    """
    if not path.exists() and not _aside(path):
        _forget(path.parent)
    base = _base(path)
    length = base + _size(path)
    if offset > length:
        if offset != oldest:
            raise ConflictError(f"The copy of {path.stem}'s log has {length} bytes, not {offset}.", "Send it again.")
        _set_aside(path, offset)
        length = base = offset
    with path.open("ab") as file:
        file.write(content[length - offset :])
        length = base + file.tell()
    if length - base >= rotate_bytes:
        _set_aside(path, length)
    return length


def _set_aside(path: Path, length: int) -> None:
    older = _aside(path)
    path.touch()
    path.rename(path.with_name(f"{path.name}.{length}"))
    for file in older:
        file.unlink(missing_ok=True)


def _base(path: Path) -> int:
    return max((int(file.suffix[1:]) for file in _aside(path)), default=0)


def _aside(path: Path) -> list[Path]:
    return [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdigit()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _forget(folder: Path) -> None:
    """Copies beyond the newest, so that pods which come and go fill no disk."""
    newest: dict[str, float] = {}
    for file in folder.glob("*.jsonl*"):
        name = file.name.partition(".jsonl")[0]
        newest[name] = max(newest.get(name, 0.0), file.stat().st_mtime)
    for name in sorted(newest, key=lambda name: -newest[name])[KEPT_LOGS - 1 :]:
        for file in folder.glob(f"{name}.jsonl*"):
            file.unlink(missing_ok=True)
