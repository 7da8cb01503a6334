"""MLflow behind a gate: who may change what, decided by rules, recorded before it happens."""

from __future__ import annotations

from pathlib import Path

from archlab.settings import LabFolder

STATIC_PREFIX = "/mlflow"
"""Path under which the registry's UI, REST API and artifacts are served."""

ALLOWED_HOSTS = ",".join(
    [name + port for name in ("localhost", "127.0.0.1", "[[]::1]", "registry") for port in ("", ":*")]
)
"""Host headers that MLflow accepts; a deployment under another name sets MLFLOW_SERVER_ALLOWED_HOSTS itself."""


DATABASE = "ARCHLAB_REGISTRY_DATABASE"
"""Of a region's registry: `folder of its Postgres' socket:port`."""


def regional_environment(folder: LabFolder, database: str, artifacts: Path) -> dict[str, str]:
    """The same for the registry of a region.

    Args:
        folder: the lab's.
        database: `folder of its Postgres' socket:port`.
        artifacts: the region's own files of versions.
    """
    sockets, _, port = database.rpartition(":")
    return {
        **environment(folder),
        "_MLFLOW_SERVER_FILE_STORE": f"postgresql+pg8000://archlab@/postgres?unix_sock={sockets}/.s.PGSQL.{port}",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
        DATABASE: database,
    }


def environment(folder: LabFolder) -> dict[str, str]:
    """Variables of the process that runs `uvicorn archlab.registry.app:app`."""
    return {
        "ARCHLAB_LAB": str(folder.root),
        "_MLFLOW_STATIC_PREFIX": STATIC_PREFIX,
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder.registry / 'mlflow.db'}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder.registry / "artifacts"),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ALLOWED_HOSTS,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
