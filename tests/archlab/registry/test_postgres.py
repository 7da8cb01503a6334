"""The gated registry on a Postgres of the operator's: what the chart's `registry.database` brings about."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archlab.settings import LabFolder
from gated_registry import Control, Registry, running
from postgres import INITDB, WITHOUT, asked, postgres_server
from registry_client import Client

STORE = "_MLFLOW_SERVER_FILE_STORE"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not INITDB, reason=WITHOUT)]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="archlab-postgres-") as place:
        Path(place).chmod(0o755)
        with postgres_server(Path(place)) as uri:
            yield uri


def speaks(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Whom the plain MLflow client speaks as, to this registry."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.url)
    return lambda user: monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", registry.token(user))


def test_the_gate_decides_and_versions_and_aliases_are_in_the_database(
    folder: LabFolder,
    control: Control,
    database: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = folder.registry / "mlflow.db"
    before = own.stat().st_mtime_ns if own.exists() else 0
    with running(folder, control, tmp_path, **{STORE: database}) as served:
        client = Client(served, speaks(served, monkeypatch), tmp_path)
        version, _ = client.register(name, auc=0.8)
        message = client.refused(lambda: client.promote(name, version))
        assert "promotion/approved_by_another" in message
        client.approve(name, version)
        client.promote(name, version)
    told = asked(database, f"SELECT alias, version FROM registered_model_aliases WHERE name = '{name}'")
    assert told == f"champion|{version}"
    assert (own.stat().st_mtime_ns if own.exists() else 0) == before, "nothing of it went into a file"
