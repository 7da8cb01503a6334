"""What the server says about itself and its models, the same over REST and gRPC."""

from __future__ import annotations

from typing import Any

from . import __version__
from .runtime import OnnxModel, TensorSpec
from .watcher import Watcher


class About:
    """Answers from what is served at the moment of asking."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def server(self) -> dict[str, Any]:
        """The server's metadata."""
        return {
            "name": "archlab-serving",
            "version": __version__,
            "extensions": ["binary_tensor_data", "model_repository"],
        }

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._watcher.ready

    def model_ready(self, model: str, version: str) -> dict[str, Any]:
        """Name, version and `ready` of a model.

        Raises:
            UnknownModelError: nothing of that name is served here.
            UnavailableError: what would answer can't be served.
        """
        served = self._watcher.loaded.select(model, version)
        ready = self._watcher.residency.will_answer(served.file)
        return {"name": served.release.model, "version": served.release.version, "ready": ready}

    async def model(self, model: str, version: str) -> dict[str, Any]:
        """A model's metadata; `parameters` are the platform's own. Raises as `model_ready` does."""
        served = self._watcher.loaded.select(model, version)
        versions = self._watcher.loaded.models[served.release.model].by_version
        tensors = await self._watcher.residency.describe(served.file)
        release, backend = served.release, served.file.backend
        lease = backend.lease if isinstance(backend, OnnxModel) else None
        return {
            "name": release.model,
            "versions": sorted(versions),
            "platform": "archlab_table" if release.kind == "table" else "onnxruntime_onnx",
            "inputs": [_tensor(spec) for spec in tensors.inputs],
            "outputs": [_tensor(spec) for spec in tensors.outputs],
            "parameters": {
                "release": release.id,
                "version": release.version,
                "role": release.role,
                "team": release.team,
                "keys": list(release.keys),
                "columns": [{"name": column.name, "source": column.source} for column in release.columns],
                **({"device": lease.describe()} if lease else {}),
            },
        }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
