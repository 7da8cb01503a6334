"""The kubelet's device plugin API, v1beta1, as protobuf messages built when this is imported.

No Python package ships its definitions. Fields and numbers are those of `k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1`
(kubernetes.io, Device Plugins: "Device plugin implementation"); what this plugin never sends is left out, and protobuf
skips unknown fields of what it receives.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

VERSION = "v1beta1"
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _FIELD.TYPE_STRING, "bool": _FIELD.TYPE_BOOL}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin/v1beta1.proto", package=VERSION, syntax="proto3")
    _add(file, "Empty")
    _add(file, "DevicePluginOptions", "bool pre_start_required", "bool get_preferred_allocation_available")
    _add(
        file,
        "RegisterRequest",
        "string version",
        "string endpoint",
        "string resource_name",
        "DevicePluginOptions options",
    )
    _add(file, "Device", "string ID", "string health")
    _add(file, "ListAndWatchResponse", "repeated Device devices")
    _add(file, "ContainerAllocateRequest", "repeated string devices_ids")
    _add(file, "AllocateRequest", "repeated ContainerAllocateRequest container_requests")
    _add_environment(_add(file, "ContainerAllocateResponse", "repeated ContainerAllocateResponse.EnvsEntry envs"))
    _add(file, "AllocateResponse", "repeated ContainerAllocateResponse container_responses")
    _add(file, "PreStartContainerRequest", "repeated string devices_ids")
    _add(file, "PreStartContainerResponse")
    return file


def _add(file: descriptor_pb2.FileDescriptorProto, message: str, *fields: str) -> descriptor_pb2.DescriptorProto:
    """Add a message whose fields, in the order of their numbers, are written `[repeated] TYPE NAME`."""
    made = file.message_type.add(name=message)
    for number, field in enumerate(fields, start=1):
        *repeated, kind, name = field.split()
        label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
        if kind in _TYPES:
            made.field.add(name=name, number=number, label=label, type=_TYPES[kind])
        else:
            kind = f".{VERSION}.{kind}"
            made.field.add(name=name, number=number, label=label, type=_FIELD.TYPE_MESSAGE, type_name=kind)
    return made


def _add_environment(message: descriptor_pb2.DescriptorProto) -> None:
    """The entries of `map<string, string> envs`."""
    entry = message.nested_type.add(name="EnvsEntry")
    entry.options.map_entry = True
    for number, name in ((1, "key"), (2, "value")):
        entry.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{VERSION}.{name}"))


Empty = _message("Empty")
DevicePluginOptions = _message("DevicePluginOptions")
RegisterRequest = _message("RegisterRequest")
Device = _message("Device")
ListAndWatchResponse = _message("ListAndWatchResponse")
AllocateRequest = _message("AllocateRequest")
AllocateResponse = _message("AllocateResponse")
PreStartContainerRequest = _message("PreStartContainerRequest")
PreStartContainerResponse = _message("PreStartContainerResponse")
