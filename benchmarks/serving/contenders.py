"""Who takes part, each in the configuration that its own documentation names for production.

All: one worker, one ONNX Runtime thread, uvloop and httptools, no access log, TCP on the loopback interface (because
`mlflow models serve` and MLServer have no unix sockets).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .environments import ROOT, Environment
from .models import COLUMNS, BenchmarkModel
from .processes import Command, free_port
from .wire import BENTOML, MLFLOW, V2_BINARY, V2_JSON, Format

MODEL = "delay"
V2_PATH = f"/v2/models/{MODEL}/infer"
PEER_CODE = Path(__file__).parent / "peers"
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Site:
    """Where one server of a run lives: a folder of its own, ports, the model, and its packages."""

    folder: Path
    model: BenchmarkModel
    environment: Environment
    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)

    def command(self, *argv: str, environment: Mapping[str, str] | None = None) -> Command:
        """Run in the folder, with one thread for every library that reads the usual variables."""
        own_bin = str(self.environment.python.parent)
        path = os.pathsep.join((own_bin, os.environ.get("PATH", "")))
        base = {key: value for key, value in os.environ.items() if not key.startswith("ARCHLAB_")}
        return Command(argv, {**base, **_THREADS, "PATH": path, **(environment or {})}, self.folder)


@dataclass(frozen=True)
class Contender:
    """One line of the tables."""

    name: str
    configuration: str
    launch: Callable[[Site], Command]
    environment: str = ""
    """A name in `pins`; empty is the product's own environment."""
    path: str = V2_PATH
    formats: Mapping[str, Format] = field(default_factory=lambda: {"json": V2_JSON})
    grpc: bool = False
    peer: bool = True
    """A server that a user would pick instead; not archlab and not a yardstick."""


ARCHLAB, RAW, STARLETTE = "archlab_serving", "bare ASGI", "bare Starlette"


def all_contenders() -> list[Contender]:
    """In the order of the tables."""
    both = {"json": V2_JSON, "binary": V2_BINARY}
    return [
        Contender(
            ARCHLAB,
            "as a lab starts it: signed release, metrics and prediction log on; uvicorn, uvloop, httptools",
            _archlab,
            formats=both,
            grpc=True,
            peer=False,
        ),
        _bare(RAW, "raw_app", "ASGI callable, orjson, checks nothing"),
        _bare(STARLETTE, "starlette_app", "Starlette route and JSONResponse, checks nothing"),
        _mlserver(0, "MLServer, parallel_workers 0"),
        _mlserver(1, "MLServer, parallel_workers 1 (default)"),
        Contender(
            "mlflow models serve",
            "onnx flavour with a tensor signature, `/invocations` with `inputs`; --env-manager local, --workers 1, "
            "UVICORN_ACCESS_LOG=false",
            _mlflow,
            environment="mlflow",
            path="/invocations",
            formats={"json": MLFLOW},
        ),
        Contender(
            "BentoML API",
            "`bentoml serve`, NumPy argument with DType and Shape, asynchronous method (faster here than a synchronous "
            "one), workers=1, access log off",
            _bentoml,
            environment="bentoml",
            path="/predict",
            formats={"json": BENTOML},
        ),
        Contender(
            "KServe ModelServer",
            "kserve.Model with async predict; latency and access logs off by --log_config_file, gRPC on (default)",
            _kserve,
            environment="kserve",
            formats=both,
            grpc=True,
        ),
    ]


def _archlab(site: Site) -> Command:
    from tests.archlab_serving.conftest import Lab

    lab = Lab(site.folder)
    columns = [{"name": f"c{i}", "source": "request"} for i in range(COLUMNS)]
    lab.publish(lab.release(site.model.path.read_bytes(), model=MODEL, columns=columns, keys=[]))
    lab.snapshot(1)
    variables = {
        **lab.environment(),
        "ARCHLAB_SERVING_THREADS": "1",
        "ARCHLAB_SERVING_GRPC": f"127.0.0.1:{site.grpc_port}",
    }
    return site.command(
        *_uvicorn(site, "archlab_serving.app:app", http="archlab_serving.http_protocol:Protocol"), environment=variables
    )


def _bare(name: str, factory: str, configuration: str) -> Contender:
    def launch(site: Site) -> Command:
        variables = {"BARE_MODEL": str(site.model.path), "PYTHONPATH": str(ROOT)}
        return site.command(*_uvicorn(site, "--factory", f"benchmarks.bare:{factory}"), environment=variables)

    return Contender(name, f"{configuration}; uvicorn, uvloop, httptools", launch, peer=False)


def _uvicorn(site: Site, *app: str, http: str = "httptools") -> tuple[str, ...]:
    listen = ("--host", "127.0.0.1", "--port", str(site.port))
    engine = ("--loop", "uvloop", "--http", http, "--no-access-log", "--log-level", "warning")
    return (str(site.environment.python), "-m", "uvicorn", *app, *listen, *engine)


def _mlserver(workers: int, name: str) -> Contender:
    def launch(site: Site) -> Command:
        settings = {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": site.port,
            "grpc_port": site.grpc_port,
            "metrics_port": free_port(),
            "parallel_workers": workers,
            "gzip_enabled": False,
        }
        model = {
            "name": MODEL,
            "implementation": "mlserver_onnx.OnnxModel",
            "parameters": {"uri": str(site.model.path), "version": "1"},
        }
        (site.folder / "settings.json").write_text(json.dumps(settings))
        (site.folder / "model-settings.json").write_text(json.dumps(model))
        argv = (site.environment.program("mlserver"), "start", ".")
        return site.command(*argv, environment={"PYTHONPATH": str(PEER_CODE)})

    configuration = (
        "an MLModel with NumpyCodec; debug off (that is the access log), gzip off, metrics on, adaptive batching off "
        f"(default), parallel_workers {workers}; no binary tensor data over REST"
    )
    return Contender(name, configuration, launch, environment="mlserver", grpc=True)


def _mlflow(site: Site) -> Command:
    folder = site.folder.parent / "model"
    quiet = {"MLFLOW_TRACKING_URI": str(site.folder / "runs"), "UVICORN_ACCESS_LOG": "false"}
    if not folder.exists():
        what = (str(PEER_CODE / "mlflow_onnx.py"), str(site.model.path), str(folder), str(COLUMNS))
        pack = site.command(str(site.environment.python), *what, environment=quiet)
        subprocess.run(pack.argv, env=pack.environment, cwd=site.folder, capture_output=True, check=True)
    listen = ("--host", "127.0.0.1", "--port", str(site.port), "--workers", "1")
    serve = ("models", "serve", "--model-uri", str(folder), "--env-manager", "local", *listen)
    return site.command(site.environment.program("mlflow"), *serve, environment=quiet)


def _bentoml(site: Site) -> Command:
    variables = {
        "BENCH_MODEL": str(site.model.path),
        "BENCH_COLUMNS": str(COLUMNS),
        "BENTOML_HOME": str(site.folder / "home"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    listen = ("--host", "127.0.0.1", "--port", str(site.port))
    serve = ("serve", "bentoml_onnx:Delay", "--working-dir", str(PEER_CODE), *listen)
    return site.command(site.environment.program("bentoml"), *serve, environment=variables)


def _kserve(site: Site) -> Command:
    quiet = {"handlers": [], "level": "WARNING", "propagate": False}
    console = {"class": "logging.StreamHandler"}
    loud = {"handlers": ["console"], "level": "WARNING", "propagate": False}
    loggers = {"kserve": loud, "kserve.trace": quiet, "uvicorn": loud, "uvicorn.access": quiet}
    config = site.folder / "logging.json"
    config.write_text(
        json.dumps(
            {"version": 1, "disable_existing_loggers": False, "handlers": {"console": console}, "loggers": loggers}
        )
    )
    argv = (str(site.environment.python), str(PEER_CODE / "kserve_onnx.py"), "--model_path", str(site.model.path))
    ports = ("--http_port", str(site.port), "--grpc_port", str(site.grpc_port), "--workers", "1")
    logs = ("--enable_latency_logging", "false", "--log_config_file", str(config))
    return site.command(*argv, "--model_name", MODEL, *ports, *logs)
