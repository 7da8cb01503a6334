"""`uvicorn archlab.registry.app:app`: MLflow's own ASGI application inside the gate. ARCHLAB_LAB names the lab."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from archlab.identity import Verifier
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.inforce import InForce, waivable_rules
from archlab.registry import DATABASE, bucket, environment
from archlab.registry.content import LabContent
from archlab.registry.demands import Demands
from archlab.registry.effects import Effects
from archlab.registry.gate import Gate
from archlab.registry.ownership import Ownership
from archlab.registry.recorder import ControlRecorder
from archlab.registry.store import artifact_store
from archlab.registry.tracking import TrackingDemands
from archlab.registry.view import RegistryView
from archlab.settings import LabFolder

if TYPE_CHECKING:
    from archlab.registry.recorder import DecisionRecorder
    from archlab.spec.policy import PolicyEngine

OPA_URL = "ARCHLAB_OPA_URL"
"""When set, decisions are an OPA server's; otherwise the embedded engine's."""


def create_app(
    folder: LabFolder, *, engine: PolicyEngine | None = None, recorder: DecisionRecorder | None = None
) -> ASGIApp:
    """The gated registry of a lab. Sets MLflow's variables in this process and imports MLflow."""
    for name, value in environment(folder).items():
        os.environ.setdefault(name, value)
    folder.registry.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Before MLflow: rego-cpp loaded after MLflow's libraries leaks every evaluation.
    engine = engine or _engine(folder)
    store = artifact_store(folder)
    view, content, in_force = RegistryView(folder, store), LabContent(folder), InForce(folder)
    mlflow = _mlflow()
    store.check()
    ownership = Ownership(view, content)
    gate = Gate(
        mlflow,
        Verifier(folder),
        engine,
        recorder or ControlRecorder(folder),
        Demands(view, content, ownership, lambda: waivable_rules(in_force)),
        Effects(view, content),
        ownership,
        TrackingDemands(view, ownership),
    )
    if not (database := os.environ.get(DATABASE)):
        return gate
    from archlab.registry.regional import SaysPrimary

    return SaysPrimary(gate, database)


def _engine(folder: LabFolder) -> PolicyEngine:
    if url := os.environ.get(OPA_URL):
        from archlab.policy.opa import OpaEngine

        return OpaEngine(folder, url)
    return EmbeddedEngine(folder)


def _mlflow() -> ASGIApp:
    """MLflow's application, its database brought up to date before the first request."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.fastapi_app import app as mlflow_app
        from mlflow.server.handlers import initialize_backend_stores
    bucket.serve_by_ourselves()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if os.environ.get(DATABASE):
        from archlab.registry.regional import wait_usable

        wait_usable(os.environ["_MLFLOW_SERVER_FILE_STORE"])
    initialize_backend_stores()
    gated: ASGIApp = mlflow_app
    return gated


def __getattr__(name: str) -> ASGIApp:
    """`app`, made when uvicorn asks for it, so that importing this module starts nothing."""
    if name == "app":
        return create_app(LabFolder.from_environment())
    raise AttributeError(name)
