"""Exact versions of what the peers' environments hold.

What the server and its peers share (ONNX Runtime, NumPy, uvicorn, uvloop, httptools) has the version of
requirements.lock, so that differences come from the peers' own code; a test holds the two together. uvloop and
httptools are in every environment: uvicorn takes them when they are there, and no peer should lose for want of a wheel.
"""

from __future__ import annotations

_RUNTIME = ("numpy==2.4.6", "onnxruntime==1.32.0", "uvicorn==0.54.0", "httptools==0.9.0")
COMMON = (*_RUNTIME, "uvloop==0.23.0")

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    # A newer uvloop than of its time ends MLServer's inference workers: they ask for an event loop before there is one.
    "mlserver": ("mlserver==1.7.1", *_RUNTIME, "uvloop==0.21.0"),
    "mlflow": ("mlflow==3.17.2", "onnx==1.23.2", *COMMON),
    "bentoml": ("bentoml==1.4.39", *COMMON),
    "kserve": ("kserve==0.21.0", *COMMON),
    "http": (
        *("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", "h11==0.16.0"),
        *("granian==2.8.7", "hypercorn==0.18.0", "orjson==3.13.0"),
    ),
    "codecs": ("orjson==3.13.0", "msgspec==0.22.0", "python-rapidjson==1.25", "ujson==6.1.0", "numpy==2.4.6"),
}
SHOWN = (
    *("mlserver", "mlflow", "bentoml", "kserve", "granian", "hypercorn", "onnxruntime", "numpy", "uvicorn", "uvloop"),
    *(
        "httptools",
        "h11",
        "starlette",
        "fastapi",
        "pydantic",
        "grpcio",
        "orjson",
        "msgspec",
        "python-rapidjson",
        "ujson",
    ),
)
"""Distributions whose versions a report names, where an environment has them."""

NOT_PACKAGED = {"Triton": "no wheel on PyPI (it comes as a container image), so it can't be built beside the others"}
