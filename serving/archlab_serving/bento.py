"""Builds the server as a Bento, and runs a built one.

Build: `python -m archlab_serving.bento build --store DIR` prints the tag. Run: `uvicorn archlab_serving.bento:app --uds
SOCKET` with `BENTOML_HOME=DIR` and `ARCHLAB_SERVING_BENTO=TAG`; the code that then serves is the Bento's copy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TAG = "ARCHLAB_SERVING_BENTO"
SERVICE = "archlab_serving.bento_service:InferenceService"
PACKAGES = ("numpy", "onnxruntime", "orjson", "prometheus-client", "cryptography", "starlette", "uvicorn", "bentoml")
_QUIET = {"BENTOML_DO_NOT_TRACK": "True"}
_HOW = "`python -m archlab_serving.bento build --store DIR` builds one and prints its tag"


class BentoMissingError(ValueError):
    """The environment names no built Bento. Defined here: nothing else of the package is imported before the Bento."""


def build(store: Path) -> str:
    """Builds the Bento into `store` (a `BENTOML_HOME`) and returns its tag.

    Runs in a process of its own: BentoML reads its home and its settings when it is imported.

    Raises:
        RuntimeError: BentoML could not build it; carries its last words.
    """
    store.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **_QUIET, "BENTOML_HOME": str(store.resolve())}
    command = [sys.executable, "-m", "archlab_serving.bento", "build", "--in-process"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"BentoML could not build the server: {done.stderr.strip()[-2000:]}")
    return done.stdout.split()[-1]


def load(environment: Mapping[str, str] = os.environ) -> ASGIApp:
    """The ASGI application of the Bento that the environment names, BentoML's middleware included.

    Raises:
        BentoMissingError: no tag is given, or the store lacks it.
    """
    folder = _folder(environment)
    os.environ.update(_QUIET)
    _import_from(folder / "src")
    from bentoml import load as load_bento
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.server.metrics.prometheus import PrometheusClient

    # `bentoml serve` forks workers that share metrics through files; here is one process, started by uvicorn.
    BentoMLContainer.metrics_client.set(PrometheusClient(multiproc=False))
    service: Any = load_bento(str(folder))
    application: ASGIApp = service.to_asgi(is_main=True)
    return application


def _folder(environment: Mapping[str, str]) -> Path:
    tag = environment.get(TAG, "")
    store = environment.get("BENTOML_HOME", "")
    if not tag or not store:
        raise BentoMissingError(f"{TAG} and BENTOML_HOME must name a built Bento; {_HOW}")
    name, _, version = tag.partition(":")
    folder = Path(store).resolve() / "bentos" / name / version
    if not version or not (folder / "bento.yaml").is_file():
        raise BentoMissingError(f"{TAG} is {tag!r}, and {folder} holds no Bento; {_HOW}")
    return folder


def _import_from(source: Path) -> None:
    """Makes the Bento's copy of our two packages the one that is imported from here on."""
    sys.path.insert(0, str(source))
    this = sys.modules[__package__ or "archlab_serving"]
    this.__path__ = [str(source / "archlab_serving")]


def _build_here() -> str:
    import bentoml

    import archlab_features

    assert archlab_features.__file__ is not None
    with tempfile.TemporaryDirectory(prefix="bento-") as context:
        _copy(Path(__file__).parent, Path(context, "archlab_serving"), "**/*.py")
        _copy(Path(archlab_features.__file__).parent, Path(context, "archlab_features"), "__init__.py", "reader.py")
        bento = bentoml.build(
            SERVICE,
            name="archlab_serving",
            build_ctx=context,
            include=["archlab_serving/**/*.py", "archlab_features/*.py"],
            python={"packages": list(PACKAGES), "lock_packages": False},
        )
        return str(bento.tag)


def _copy(source: Path, target: Path, *patterns: str) -> None:
    target.mkdir()
    for pattern in patterns:
        for file in source.glob(pattern):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m archlab_serving.bento", description="Builds the server as a Bento."
    )
    parser.add_argument("command", choices=["build"])
    parser.add_argument("--store", type=Path, help="folder of the Bento store (BENTOML_HOME)")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        tag = _build_here()
    elif options.store is not None:
        tag = build(options.store)
    else:
        parser.error("--store is needed")
    sys.stdout.write(f"{tag}\n")


def __getattr__(name: str) -> ASGIApp:
    """`app`, loaded when the ASGI server asks for it; importing this module alone loads nothing."""
    if name == "app":
        return load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    _main()
