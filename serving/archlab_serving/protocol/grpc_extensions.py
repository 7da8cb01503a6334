"""Messages of calls that the protocol's standard definition lacks: the model repository, and health.

They are made here, in a descriptor pool of their own: clients' generated code registers messages of the same names, and
one process may hold both. A load or unload names its model in field 2 (Triton) or in field 1 (KServe); an answer's
fields are KServe's, and unknown to Triton's clients.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_TEXT, _BOOL, _ENUM = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BOOL, FieldDescriptorProto.TYPE_ENUM
_MESSAGE, _BYTES = FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_BYTES
_REPEATED = FieldDescriptorProto.LABEL_REPEATED
_MODEL_STATE, _PARAMETER = ".inference.RepositoryIndexResponse.ModelIndex", ".inference.ModelRepositoryParameter"


def _message(name: str, /, **fields: int) -> DescriptorProto:
    """Fields in the order of their numbers, by type."""
    made = DescriptorProto(name=name)
    for number, (field, kind) in enumerate(fields.items(), start=1):
        made.field.add(name=field, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    return made


def _change(name: str) -> DescriptorProto:
    """A request to load or unload, its parameters by name."""
    made = _message(name, first_name=_TEXT, model_name=_TEXT)
    entry = _message("ParametersEntry", key=_TEXT, value=_MESSAGE)
    entry.options.map_entry = True
    entry.field[1].type_name = _PARAMETER
    made.nested_type.append(entry)
    kind = f".inference.{name}.ParametersEntry"
    made.field.add(name="parameters", number=3, type=_MESSAGE, label=_REPEATED, type_name=kind)
    return made


def _repository() -> FileDescriptorProto:
    index = _message("RepositoryIndexResponse")
    index.nested_type.append(_message("ModelIndex", name=_TEXT, version=_TEXT, state=_TEXT, reason=_TEXT))
    index.field.add(name="models", number=1, type=_MESSAGE, label=_REPEATED, type_name=_MODEL_STATE)
    return FileDescriptorProto(
        name="archlab_serving/repository.proto",
        package="inference",
        syntax="proto3",
        message_type=[
            _message("RepositoryIndexRequest", repository_name=_TEXT, ready=_BOOL),
            index,
            _message("ModelRepositoryParameter"),
            _change("RepositoryModelLoadRequest"),
            _message("RepositoryModelLoadResponse", model_name=_TEXT, isLoaded=_BOOL),
            _change("RepositoryModelUnloadRequest"),
            _message("RepositoryModelUnloadResponse", model_name=_TEXT, isUnloaded=_BOOL),
        ],
    )


def _health() -> FileDescriptorProto:
    response = _message("HealthCheckResponse", status=_ENUM)
    response.field[0].type_name = ".grpc.health.v1.HealthCheckResponse.ServingStatus"
    status = response.enum_type.add(name="ServingStatus")
    for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        status.value.add(name=name, number=number)
    return FileDescriptorProto(
        name="archlab_serving/health.proto",
        package="grpc.health.v1",
        syntax="proto3",
        message_type=[_message("HealthCheckRequest", service=_TEXT), response],
    )


_pool = DescriptorPool()
for _file in (_repository(), _health()):
    _pool.AddSerializedFile(_file.SerializeToString())


def _class(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(name))


IndexRequest = _class("inference.RepositoryIndexRequest")
IndexResponse = _class("inference.RepositoryIndexResponse")
LoadRequest = _class("inference.RepositoryModelLoadRequest")
LoadResponse = _class("inference.RepositoryModelLoadResponse")
UnloadRequest = _class("inference.RepositoryModelUnloadRequest")
UnloadResponse = _class("inference.RepositoryModelUnloadResponse")
HealthRequest = _class("grpc.health.v1.HealthCheckRequest")
HealthResponse = _class("grpc.health.v1.HealthCheckResponse")
SERVING, NOT_SERVING = 1, 2
"""Values of `HealthResponse.status`."""
