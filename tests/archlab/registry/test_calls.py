from __future__ import annotations

import pytest

from archlab.errors import UserError
from archlab.registry.calls import REGISTRY_CALLS, Kind, canonical_path, classify


@pytest.mark.parametrize("prefix", ["/mlflow", ""])
@pytest.mark.parametrize("api", ["/api/2.0", "/ajax-api/2.0", "/api/3.0", "/ajax-api/4.1"])
@pytest.mark.parametrize(("call", "kind"), REGISTRY_CALLS.items(), ids=str)
def test_every_spelling_of_a_registry_call_is_known(prefix: str, api: str, call: tuple[str, str], kind: Kind) -> None:
    method, rest = call
    assert classify(method, f"{prefix}{api}/mlflow/{rest}").kind is kind
    assert classify(method, f"/{prefix}//{api}///mlflow/{rest}//").kind is kind


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/mlflow/api/2.0/mlflow/registered-models/alias", Kind.READ),
        ("POST", "/mlflow/api/2.0/mlflow/runs/search", Kind.READ),
        ("POST", "/mlflow/graphql", Kind.READ),
        ("POST", "/mlflow/ajax-api/3.0/mlflow/ui-telemetry", Kind.READ),
        ("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", Kind.TRACKING_WRITE),
        ("POST", "/mlflow/api/2.0/mlflow/logged-models", Kind.TRACKING_WRITE),
        ("PATCH", "/mlflow/api/2.0/mlflow/logged-models/m-1/tags", Kind.TRACKING_WRITE),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a/model.onnx", Kind.TRACKING_WRITE),
        ("DELETE", "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/a", Kind.DELETE_FILES),
        ("POST", "/mlflow/api/2.0/mlflow/runs/delete", Kind.DELETE_RUN),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/experiments/delete", Kind.DELETE_EXPERIMENT),
        ("DELETE", "/mlflow/api/2.0/mlflow/logged-models/m-1", Kind.DELETE_LOGGED_MODEL),
        ("DELETE", "/mlflow/api/2.0/mlflow/logged-models/m-1/tags/a", Kind.TRACKING_WRITE),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/upload-artifact", Kind.TRACKING_WRITE),
        ("PUT", "/mlflow/api/2.0/mlflow/registered-models/alias", Kind.OTHER),
        ("POST", "/mlflow/api/2.0/mlflow/registered-models/aliases", Kind.OTHER),
        ("POST", "/mlflow/API/2.0/mlflow/registered-models/alias", Kind.OTHER),
        ("POST", "/mlflow/api/2.0/mlflow/registered-models%2falias", Kind.OTHER),
        ("POST", "/mlflow/api/2.0/mlflow/runsomething", Kind.OTHER),
        ("POST", "/mlflow/api/3.0/mlflow/gateway/secrets/create", Kind.OTHER),
        ("POST", "/mlflow/v1/traces", Kind.OTHER),
        ("BREW", "/mlflow/", Kind.OTHER),
    ],
)
def test_kinds(method: str, path: str, kind: Kind) -> None:
    assert classify(method, path).kind is kind


def test_canonical_paths() -> None:
    assert canonical_path("/mlflow") == canonical_path("//mlflow//") == "/mlflow/"
    assert canonical_path("/mlflow//static-files/x.js/") == "/mlflow/static-files/x.js"


@pytest.mark.parametrize("path", ["/mlflow/../x", "/./x", "/a\\b", "/a\nb", "/a\x00"])
def test_paths_that_mean_nothing_are_refused(path: str) -> None:
    with pytest.raises(UserError):
        canonical_path(path)


def test_every_change_that_mlflow_offers_for_the_registry_is_mapped() -> None:
    """A new MLflow with a new call on registered models would fail here, and be denied until it is mapped."""
    from mlflow.protos.model_registry_pb2 import DESCRIPTOR, ModelRegistryService
    from mlflow.server.handlers import get_service_endpoints

    assert DESCRIPTOR
    found = {
        (method, path.partition("/mlflow/")[2])
        for path, _, methods in get_service_endpoints(ModelRegistryService, lambda request: request)
        for method in methods
        if method != "GET"
    }
    reading = {("POST", "registered-models/get-latest-versions")}
    assert found - reading == REGISTRY_CALLS.keys()
