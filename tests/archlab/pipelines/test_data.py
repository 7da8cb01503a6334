from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archlab.files import file_sha256
from archlab.lineage import spool
from archlab.lineage.digests import data_digest
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


def test_what_it_was_made_from_is_kept_beside_it_with_digests(data: Path) -> None:
    ingest, _, features = (event for event in spool.kept(data / spool.NAME)[1:])
    sources = typed.ingest_of("airline").sources()
    assert digests(ingest["inputs"]) == {f"source/airline/{n}": file_sha256(p) for n, p in sources.items()}
    files = {f"cache/data/{data.name}/{p.relative_to(data).as_posix()}": p for p in data.rglob("*.parquet")}
    written = digests(ingest["outputs"]) | digests(features["outputs"])
    assert written == {name: file_sha256(path) for name, path in files.items()}
    assert digests(features["inputs"]) == digests(ingest["outputs"])
    facts = ingest["run"]["facets"]["archlab_facts"]["facts"]
    named = {name: file_sha256(path) for name, path in sources.items()}
    assert facts["data_digest"] == typed.digest("airline") == data_digest(named, facts["reader"], facts["views"])
    assert data.name == facts["data_digest"][:16]


def digests(datasets: list[dict[str, Any]]) -> dict[str, str]:
    return {d["name"]: d["facets"]["version"]["datasetVersion"].removeprefix("sha256:") for d in datasets}
