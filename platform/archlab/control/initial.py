"""Puts the desired state that a pod was given into control's folder, before control starts on it.

`python -m archlab.control.initial FOLDER`: files of the folder, `__` in a name stands for `/`; ARCHLAB_LAB names where.
"""

from __future__ import annotations

import sys
from pathlib import Path

from archlab.control.sync import DESIRED
from archlab.files import write_atomic
from archlab.settings import LabFolder


def put(source: Path, folder: LabFolder) -> list[str]:
    """Copy what is desired state; names of what was copied."""
    found = {path.name.replace("__", "/"): path for path in sorted(source.iterdir()) if path.is_file()}
    for name, path in found.items():
        if name in DESIRED:
            write_atomic(folder.root / name, path.read_bytes())
    return sorted(found.keys() & DESIRED)


if __name__ == "__main__":
    sys.stdout.write(f"{', '.join(put(Path(sys.argv[1]), LabFolder.from_environment())) or 'nothing'} put in place\n")
