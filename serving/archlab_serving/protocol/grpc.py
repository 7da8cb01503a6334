"""Requests and answers as the messages of the protocol's gRPC service (`inference.GRPCInferenceService`).

Tensors travel typed (`contents`) or as bytes (`raw_input_contents`); an answer comes in the form of its request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message
from open_inference.grpc import protocol as pb

from ..errors import BadRequestError
from .datatypes import BYTES, DATATYPES
from .messages import Answer, Data, InferRequest, Output, Parameter, RequestedOutput, Tensor
from .tensor_data import element_count, from_binary, to_binary

Parameters = Mapping[str, pb.InferParameter]

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field of `InferTensorContents` that holds a datatype. FP16 has none: it travels raw only."""
_INT64_MAX = 2**63 - 1


def decode(kind: type[Message], raw: bytes) -> Any:
    """The message of that type in `raw`.

    Raises:
        BadRequestError: it is none.
    """
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise BadRequestError(f"the message is no {kind.DESCRIPTOR.full_name}: {error}") from error


def parse_request(message: pb.ModelInferRequest) -> InferRequest:
    """What a message asks.

    Raises:
        BadRequestError: it contradicts the protocol; names the tensor and what is wrong with it.
    """
    entries = message.inputs
    if not entries:
        raise BadRequestError("'inputs' must hold at least one tensor")
    raw = message.raw_input_contents
    if raw:
        _check_raw(message)
    inputs: dict[str, Tensor] = {}
    for number, entry in enumerate(entries):
        tensor = _tensor(entry, raw[number] if raw else None)
        if tensor.name in inputs:
            raise BadRequestError(f"tensor {tensor.name!r} is given twice")
        inputs[tensor.name] = tensor
    parameters = _parameters(message.parameters) if message.parameters else {}
    outputs = tuple(_requested(output) for output in message.outputs) if message.outputs else ()
    return InferRequest(message.id, inputs, parameters, outputs, bool(raw))


def format_response(answer: Answer, request: InferRequest) -> pb.ModelInferResponse:
    """The answer, raw where its request was, or where an output has no typed form."""
    response = pb.ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for key, value in answer.parameters.items():
        _set(response.parameters[key], value)
    raw = request.binary_output or any(output.datatype not in CONTENTS for output in answer.outputs)
    for output in answer.outputs:
        entry = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.array.shape)
        if raw:
            response.raw_output_contents.append(to_binary(output))
        else:
            getattr(entry.contents, CONTENTS[output.datatype]).extend(_elements(output))
    return response


def server_metadata(about: Mapping[str, Any]) -> pb.ServerMetadataResponse:
    """The server's metadata, from REST's object."""
    return pb.ServerMetadataResponse(**about)


def model_metadata(about: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    """A model's metadata, from REST's object; its parameters become properties: texts, or JSON of what is none."""
    fields = {key: value for key, value in about.items() if key != "parameters"}
    properties = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in about["parameters"].items()
    }
    return pb.ModelMetadataResponse(**fields, properties=properties)


def _check_raw(message: pb.ModelInferRequest) -> None:
    for entry in message.inputs:
        if entry.HasField("contents"):
            raise BadRequestError(f"tensor {entry.name!r} has 'contents'; with 'raw_input_contents' no tensor may")
    given, needed = len(message.raw_input_contents), len(message.inputs)
    if given != needed:
        raise BadRequestError(
            f"'raw_input_contents' has {given} entries; one for each of the {needed} tensors is needed"
        )


def _tensor(entry: Any, raw: bytes | None) -> Tensor:
    name, datatype, shape = entry.name, entry.datatype, list(entry.shape)
    if not name:
        raise BadRequestError("every tensor needs a 'name'")
    if datatype not in DATATYPES:
        raise BadRequestError(f"tensor {name!r} has datatype {datatype!r}; this server takes {', '.join(DATATYPES)}")
    size = element_count(name, shape)
    if entry.parameters and "shared_memory_region" in entry.parameters:
        raise BadRequestError(f"tensor {name!r} is in shared memory, which this server doesn't offer")
    data = (
        _typed(name, datatype, size, entry.contents)
        if raw is None
        else from_binary(name, DATATYPES[datatype], size, raw)
    )
    return Tensor(name, datatype, shape, data)


def _typed(name: str, datatype: str, size: int, contents: pb.InferTensorContents) -> Data:
    field = CONTENTS.get(datatype)
    if field is None:
        raise BadRequestError(f"tensor {name!r} of datatype {datatype} has no typed form: use 'raw_input_contents'")
    elements = list(getattr(contents, field))
    if len(elements) != size:
        raise BadRequestError(f"tensor {name!r} has {len(elements)} values in {field!r}, its shape needs {size}")
    filled = [found.name for found, _ in contents.ListFields() if found.name != field]
    if filled:
        raise BadRequestError(f"tensor {name!r} of datatype {datatype} has values in {filled[0]!r} beside {field!r}")
    try:
        if datatype == BYTES:
            return [element.decode() for element in elements]
        return np.array(elements, dtype=DATATYPES[datatype].numpy)
    except OverflowError as error:
        raise BadRequestError(f"tensor {name!r} of datatype {datatype}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"tensor {name!r} holds an element that is not UTF-8 ({error.reason}); models here take texts, so send "
            "other bytes as UINT8 or in base64"
        ) from error


def _elements(output: Output) -> list[Any]:
    values: list[Any] = output.array.ravel().tolist()
    return [text.encode() for text in values] if output.datatype == BYTES else values


def _requested(output: Any) -> RequestedOutput:
    for key, extension in (("classification", "classification"), ("shared_memory_region", "shared memory")):
        if output.parameters and key in output.parameters:
            raise BadRequestError(f"output {output.name!r}: the {extension} extension is not offered")
    return RequestedOutput(output.name, None)


def _parameters(given: Parameters) -> dict[str, Parameter]:
    return {key: _value(key, parameter) for key, parameter in given.items()}


def _value(key: str, parameter: pb.InferParameter) -> Parameter:
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise BadRequestError(f"parameter {key!r} has no value")
    value: Parameter = getattr(parameter, choice)
    return value


def _set(parameter: pb.InferParameter, value: Parameter) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        if value > _INT64_MAX:
            parameter.uint64_param = value
        else:
            parameter.int64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    else:
        parameter.string_param = value
