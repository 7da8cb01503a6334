from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archlab.pipelines import data as typed

MAKE = """
import sys
from pathlib import Path
from archlab.pipelines import data
data.ensure(Path(sys.argv[1]), "airline")
"""


@pytest.mark.slow
def test_killed_on_the_way_it_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    folder = typed.data_folder(tmp_path, "airline")
    killed = subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path)])
    while not list(folder.parent.glob("*.part/flights.parquet")):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not folder.exists()
    subprocess.run([sys.executable, "-c", MAKE, str(tmp_path)], check=True)
    made = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert {"flights.parquet", "weather.parquet", "views/route_daily.parquet"} <= made
    assert len(made) == 4 + 7
    before = folder.stat().st_mtime_ns
    assert typed.ensure(tmp_path, "airline") == folder
    assert folder.stat().st_mtime_ns == before
