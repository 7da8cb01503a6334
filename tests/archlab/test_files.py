"""Files that are never seen half-written."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from archlab.files import write_atomic


def test_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


WRITE_FOREVER = """
import sys
from pathlib import Path
from archlab.files import write_atomic
path = Path(sys.argv[1])
write_atomic(path, "a" * 200_000)
print("written", flush=True)
while True:
    write_atomic(path, "a" * 200_000)
    write_atomic(path, "b" * 200_000)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
    assert path.read_text() in {"a" * 200_000, "b" * 200_000}
