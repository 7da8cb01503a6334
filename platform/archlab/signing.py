"""Signatures of model folders: made by OpenSSF's `model-signing` with the lab's key, checked against its trusted keys.

`model.sig` lies beside `model.onnx` and covers every other file of the folder. What counts as a signature is said by
`archlab_serving.model_signature`, which the inference server shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archlab.files import file_sha256
from archlab_serving import model_signature
from archlab_serving.model_signature import SignatureError

SIGNATURE_FILE = "model.sig"
VALID = "valid"
MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about a folder's signature."""

    state: str
    """`valid`; or why not, as `SignatureError` says."""
    message: str = ""
    """What is wrong; empty when nothing is."""
    key: str = ""
    """Fingerprint of the key that signed, as the signature names it."""
    files: Mapping[str, str] | None = None
    """SHA-256 by path, where the signature is valid."""


def sign(folder: Path, key: Path) -> Path:
    """Sign every file of a folder with a private key in PEM; the signature's path. An older signature is replaced."""
    from model_signing import hashing, signing

    path = folder / SIGNATURE_FILE
    path.unlink(missing_ok=True)
    files = hashing.Config().set_ignored_paths(paths=[path], ignore_git_paths=False)
    signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(files).sign(folder, path)
    return path


def check(folder: Path, trusted: Path) -> Verdict:
    """Whether a trusted key signed exactly the files that lie in the folder now."""
    try:
        signature = _bundle(folder)
        signed = model_signature.verify(signature, model_signature.read_keys(trusted))
        _compare(signed.files, folder, signed.key)
    except SignatureError as error:
        return Verdict(error.state, error.message, error.key)
    return Verdict(VALID, key=signed.key, files=signed.files)


def _bundle(folder: Path) -> bytes:
    path = folder / SIGNATURE_FILE
    if path.is_symlink() or not path.is_file():
        raise SignatureError("absent", f"there is no {SIGNATURE_FILE} beside the model")
    with path.open("rb") as file:
        return file.read(model_signature.MAX_BYTES + 1)


def _compare(signed: Mapping[str, str], folder: Path, key: str) -> None:
    """Raises SignatureError when files were added, changed or taken away."""
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name == SIGNATURE_FILE or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file() or len(found) >= MOST_FILES:
            raise SignatureError("differs", f"{name} is no plain file, or one of too many", key)
        found[name] = path
    if added := sorted(found.keys() - signed.keys()):
        raise SignatureError("differs", f"{added[0]} was not signed", key)
    if gone := sorted(signed.keys() - found.keys()):
        raise SignatureError("differs", f"{gone[0]} was signed and is not there", key)
    for name, digest in sorted(signed.items()):
        if (now := file_sha256(found[name])) != digest:
            raise SignatureError("differs", f"{name} is {now[:12]}… now, {digest[:12]}… was signed", key)
