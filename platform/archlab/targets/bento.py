"""The Bento that a lab's bento pools run: built once per version of the server's code, shared by labs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path

from archlab.errors import ArchlabError
from archlab.files import write_atomic
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Progress

CODE = {"archlab_serving": "**/*.py", "archlab_features": "reader.py"}


def ensure(folder: LabFolder, plan: Plan, progress: Progress) -> None:
    """Build the Bento when the plan has a pool that runs it and the cache has none of this code.

    Leaves `bento/` (a link into the cache) and `bento.json` with its tag.

    Raises:
        ArchlabError: BentoML could not build it.
    """
    if not any(unit.runtime == "bento" for unit in plan.units):
        return
    store = folder.cache / "bento" / _digest()[:16]
    record = store / "tag.json"
    if not record.exists():
        progress("bento", "build")
        shutil.rmtree(store, ignore_errors=True)
        write_atomic(record, json.dumps({"tag": _build(store)}) + "\n")
    link = folder.root / "bento"
    if not link.is_symlink() or link.resolve() != store.resolve():
        if link.is_symlink() or link.is_file():
            link.unlink()
        else:
            shutil.rmtree(link, ignore_errors=True)
        link.symlink_to(store)
    write_atomic(folder.root / "bento.json", record.read_text())


def _build(store: Path) -> str:
    from archlab_serving.bento import build

    try:
        return build(store)
    except RuntimeError as error:
        raise ArchlabError(str(error), "Run it again with --debug; the store is " + str(store)) from None


def _digest() -> str:
    total = hashlib.sha256()
    for package, pattern in CODE.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ArchlabError(f"{package} is not installed.", "Run: make setup")
        folder = Path(spec.origin).parent
        for path in sorted(folder.glob(pattern)):
            total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()
