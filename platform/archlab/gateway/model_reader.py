"""The filter that tells routes which model a gRPC call is for; it runs for calls that name one, and only there."""

from __future__ import annotations

from pathlib import Path

from archlab.gateway.messages import Message, typed

FILTER = "envoy.filters.http.lua"
HEADER = "x-archlab-model"
"""Set by the filter alone; removed from what comes from outside."""
_SCRIPT = "model-reader"


def model_reader() -> Message:
    """The filter, off unless a route turns it on."""
    code = Path(__file__).with_suffix(".lua").read_text()
    config = typed("lua", source_codes={_SCRIPT: {"inline_string": code}})
    return {"name": FILTER, "disabled": True, "typed_config": config}


def reading() -> Message:
    """What turns it on, in a route's configuration of filters."""
    return {FILTER: typed("lua-route", name=_SCRIPT)}
