"""JSON codecs on the protocol's bodies: `python -m benchmarks.codecs [--json FILE]`; ADR 6 rests on it.

Runs itself in an environment of its own (`.cache/peers/codecs`). Requests are decoded to Python objects, or to typed
Structs where the codec has them; responses are encoded from a float32 array, the way each codec can. Codecs take turns;
a figure is the least of all turns' mean CPU time, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
import timeit
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS, NAMED, TURNS, TURN_S = 20, 12, 40, 0.01
ENVIRONMENT = "codecs"


class Codec(NamedTuple):
    """One way to decode requests and encode responses; None where it has none of its own."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    """Takes the prediction `[N, 1]`, a float32 array."""


def response(data: Any, rows: int) -> dict[str, Any]:
    """A response as the server has it, the tensor's data in whatever form the codec takes."""
    parameters = {"model_version": "3", "release": "delay:3", "snapshot": 41, "features_as_of": "2013-06-01T04:00:00Z"}
    output = {"name": "prediction", "datatype": "FP32", "shape": [rows, 1], "data": data}
    return {"model_name": "delay", "model_version": "3", "id": "r-17", "parameters": parameters, "outputs": [output]}


def requests() -> dict[str, bytes]:
    """Bodies as clients send them, by what they hold."""
    import numpy as np

    draw = np.random.default_rng(7)
    found: dict[str, bytes] = {}
    for rows in (1, 128, 4096):
        data = np.round(draw.normal(size=rows * COLUMNS), 4).tolist()
        tensor = {"name": "features", "datatype": "FP32", "shape": [rows, COLUMNS], "data": data}
        found[_size(rows)] = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    named = [{"name": f"c{i}", "datatype": "FP32", "shape": [1], "data": [0.1 + i]} for i in range(NAMED - 2)]
    keys = [{"name": name, "datatype": "BYTES", "shape": [1], "data": ["JFK"]} for name in ("origin", "carrier")]
    found[f"{NAMED} named tensors"] = json.dumps({"id": "r-17", "inputs": [*named, *keys]}).encode()
    return found


def _size(rows: int) -> str:
    return f"{rows} row{'s' * (rows > 1)}"


def codecs() -> dict[str, Codec]:
    """The candidates, orjson first: what the server uses."""
    import msgspec
    import orjson

    rapidjson, ujson = (importlib.import_module(name) for name in ("rapidjson", "ujson"))
    encoder = msgspec.json.Encoder()
    untyped, typed = msgspec.json.Decoder(), msgspec.json.Decoder(_struct(msgspec))

    def lists(dump: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        return lambda array: dump(response(array.ravel().tolist(), len(array)))

    def arrays(array: Any) -> bytes:
        return orjson.dumps(response(array.ravel(), len(array)), option=orjson.OPT_SERIALIZE_NUMPY)

    return {
        "orjson (NumPy option)": Codec(orjson.loads, arrays),
        "orjson (lists)": Codec(orjson.loads, lists(orjson.dumps)),
        "msgspec": Codec(untyped.decode, lists(encoder.encode)),
        "msgspec, typed Structs": Codec(typed.decode, lists(encoder.encode)),
        "python-rapidjson": Codec(rapidjson.loads, lists(lambda document: rapidjson.dumps(document).encode())),
        "ujson": Codec(ujson.loads, lists(lambda document: ujson.dumps(document).encode())),
        "json (stdlib)": Codec(
            json.loads, lists(lambda document: json.dumps(document, separators=(",", ":")).encode())
        ),
    }


def _struct(msgspec: Any) -> Any:
    """A request whose tensors' data is flat, of numbers, texts and null: what the server otherwise checks itself."""
    fields: list[Any] = [
        ("name", str),
        ("datatype", str),
        ("shape", list[int]),
        ("data", list[int | float | str | None]),
        ("parameters", dict[str, Any], {}),
    ]
    tensors = types.GenericAlias(list, (msgspec.defstruct("Tensor", fields),))
    return msgspec.defstruct("Request", [("inputs", tensors), ("id", str, ""), ("parameters", dict[str, Any], {})])


Figures = dict[str, dict[str, float]]
"""Microseconds by what was done and by codec."""


def measure() -> Figures:
    """Everybody in turn on every body."""
    import numpy as np

    candidates = codecs()
    work: dict[str, dict[str, Callable[[], object]]] = {}
    for name, body in requests().items():
        decoders = {codec: _bound(made.decode, body) for codec, made in candidates.items()}
        decoders.pop("orjson (lists)")
        work[f"decode a request: {name} ({len(body):,} bytes)"] = decoders
    for rows in (1, 128, 4096):
        array = np.random.default_rng(7).normal(size=(rows, 1)).astype(np.float32)
        encoders = {codec: _bound(made.encode, array) for codec, made in candidates.items()}
        encoders.pop("msgspec, typed Structs")
        work[f"encode a response: {_size(rows)}"] = encoders
    return {name: _take_turns(calls) for name, calls in work.items()}


def _bound(function: Callable[[Any], object], argument: object) -> Callable[[], object]:
    return lambda: function(argument)


def _take_turns(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds per call."""
    timers = {name: timeit.Timer(call, timer=time.process_time) for name, call in calls.items()}
    numbers = {name: max(1, int(TURN_S / max(1e-7, timer.timeit(3) / 3))) for name, timer in timers.items()}
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(TURNS):
        for name, timer in timers.items():
            least[name] = min(least[name], timer.timeit(numbers[name]) / numbers[name] * 1e6)
    return least


def markdown(figures: Figures) -> str:
    """A table with a line for every codec and a column for every body."""
    lines: list[str] = []
    for kind in ("decode a request", "encode a response"):
        columns = [name for name in figures if name.startswith(kind)]
        heads = [name.partition(": ")[2] for name in columns]
        lines += ["", f"| {kind}, µs | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
        for codec in figures[columns[0]]:
            shown = " | ".join(f"{figures[column][codec]:,.1f}" for column in columns)
            lines.append(f"| {codec} | {shown} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds the environment, measures in it, prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        json.dump(measure(), sys.stdout)
        return
    from benchmarks.serving import machine
    from benchmarks.serving.environments import ROOT, NotBuiltError, ensure

    here = machine.look()
    try:
        environment = ensure(ENVIRONMENT, lambda line: print(line, file=sys.stderr, flush=True))
    except NotBuiltError as error:
        raise SystemExit(str(error)) from error
    command = [str(environment.python), "-m", "benchmarks.codecs", "--here"]
    figures: Figures = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    versions = environment.versions()
    print(
        f"{here}. CPU time, the least of {TURNS} turns. Packages: {', '.join(f'{k} {v}' for k, v in versions.items())}."
    )
    print(markdown(figures), end="")
    if options.json:
        document = {"machine": here.document(), "versions": versions, "microseconds": figures}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
