"""Asks a server with KServe's own client, over REST and gRPC; run in an environment that has `kserve`.

`python kserve_client.py HTTP_URL GRPC_TARGET MODEL DATATYPES`: for each datatype, a JSON object of name to four values,
the model `MODEL-<datatype>` is asked. Prints what came back as one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

NUMPY: dict[str, Any] = {
    "BOOL": np.bool_,
    "BYTES": np.object_,
    "FP32": np.float32,
    "FP64": np.float64,
    "FP16": np.float16,
}


def request(model: str, datatype: str, values: list[Any], *, binary: bool) -> Any:
    """The values as a 2 x 2 tensor, in the message or beside it."""
    kind = NUMPY.get(datatype) or np.dtype(datatype.lower())
    tensor = InferInput("x", [2, 2], datatype)
    tensor.set_data_from_numpy(np.array(values, dtype=kind).reshape(2, 2), binary_data=binary)
    return InferRequest(model, [tensor], request_id="an-id")


def reply(response: Any) -> dict[str, Any]:
    """Id, model and elements, texts as texts."""
    (output,) = response.outputs
    values = output.as_numpy().ravel().tolist()
    texts = [v.decode() if isinstance(v, bytes) else v for v in values]
    return {"id": response.id, "model": response.model_name, "values": texts}


async def main(url: str, target: str, model: str, datatypes: dict[str, list[Any]]) -> None:
    """Health and one inference per datatype and form."""
    rest, rpc = InferenceRESTClient(RESTConfig(protocol="v2")), InferenceGRPCClient(target)
    first = f"{model}-fp32"
    said: dict[str, Any] = {
        "rest": [
            await rest.is_server_live(url),
            await rest.is_server_ready(url),
            await rest.is_model_ready(url, first),
        ],
        "grpc": [await rpc.is_server_live(), await rpc.is_server_ready(), await rpc.is_model_ready(first)],
    }
    for datatype, values in datatypes.items():
        name = f"{model}-{datatype.lower()}"
        for form, binary in (("json", False), ("binary", True)):
            if datatype == "FP16" and not binary:
                continue  # the protocol's JSON leaves it out
            answer = await rest.infer(url, request(name, datatype, values, binary=binary), name)
            said[f"{datatype}/{form}"] = reply(answer)
        said[f"{datatype}/grpc"] = reply(await rpc.infer(request(name, datatype, values, binary=True)))
    await rest.close()
    await rpc.close()
    print(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
