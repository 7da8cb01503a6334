"""An S3-compatible store and a Redis in a namespace of a cluster, as an operator might have them; real ones.

ARCHLAB_KUBE_S3_IMAGE names an image of versitygw, ARCHLAB_KUBE_REDIS_IMAGE one that has a redis-server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kube_objects import Kubectl, until
from s3_server import BUCKET, KEY, SECRET

S3_IMAGE, REDIS_IMAGE = os.environ.get("ARCHLAB_KUBE_S3_IMAGE", ""), os.environ.get("ARCHLAB_KUBE_REDIS_IMAGE", "")
WITHOUT = "ARCHLAB_KUBE_S3_IMAGE and ARCHLAB_KUBE_REDIS_IMAGE name no images of such servers"
PASSWORD = "a-password-of-the-tests"
S3_PORT, REDIS_PORT = 7070, 6379


@dataclass(frozen=True)
class Stores:
    """Both servers, as seen from outside the cluster."""

    namespace: str
    host: str
    s3_port: int
    redis_port: int

    @property
    def s3(self) -> Any:
        """A client with the operator's keys."""
        import boto3

        url = f"http://{self.host}:{self.s3_port}"
        named = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=url, **named)

    @property
    def redis(self) -> Any:
        """A client of the database that labs use."""
        from redis import Redis

        return Redis(self.host, self.redis_port, db=1, password=PASSWORD)

    def filled_in(self, word: str, lab: str) -> str:
        """A word of the guide's commands with this lab's name, and what these servers take."""
        example = {
            "redis://:PASSWORD@redis.example.com:6379/0": f"redis://:{PASSWORD}@redis.{self.namespace}:{REDIS_PORT}/1",
            "access-key-id=KEY": f"access-key-id={KEY}",
            "secret-access-key=SECRET": f"secret-access-key={SECRET}",
        }
        for said, meant in example.items():
            word = word.replace(said, meant)
        return lab if word == "ten-models" else word

    def own(self, values: dict[str, Any]) -> dict[str, Any]:
        """The guide's values with these servers' addresses, and without a Postgres."""
        artifacts = {**values["registry"]["artifacts"], "port": S3_PORT}
        artifacts |= {"endpoint": f"http://s3.{self.namespace}:{S3_PORT}", "bucket": BUCKET}
        return {**values, "registry": {"artifacts": artifacts}}

    def objects(self, prefix: str) -> list[str]:
        """Keys below a prefix of the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))


@contextmanager
def stores(kubectl: Kubectl) -> Iterator[Stores]:
    """Both servers, answering; deleted afterwards."""
    s3 = ["--access", KEY, "--secret", SECRET, "--port", f":{S3_PORT}", "--quiet", "posix"]
    s3 += ["--sidecar", "/data/attributes", "/data/objects"]
    redis = ["redis-server", "--requirepass", PASSWORD, "--save", "", "--dir", "/data", "--bind", "0.0.0.0"]
    with kubectl.namespace() as namespace:
        kubectl.apply(
            namespace,
            *_server("s3", S3_IMAGE, S3_PORT, {"args": s3}, folders=("objects", "attributes")),
            *_server("redis", REDIS_IMAGE, REDIS_PORT, {"command": redis}),
        )
        kubectl.ok("-n", namespace, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=90s")
        nodes = kubectl.get("nodes")["items"]
        host = next(a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP")
        ports = {
            name: kubectl.get("-n", namespace, "service", name)["spec"]["ports"][0]["nodePort"]
            for name in ("s3", "redis")
        }
        made = Stores(namespace, host, ports["s3"], ports["redis"])
        until(lambda: _bucket(made), "the bucket")
        yield made


def _bucket(made: Stores) -> bool:
    from botocore.exceptions import BotoCoreError

    try:
        made.s3.create_bucket(Bucket=BUCKET)
    except BotoCoreError:
        return False
    return True


def _server(
    name: str, image: str, port: int, runs: dict[str, Any], folders: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    labels = {"app": name}
    mounts = [{"name": "data", "mountPath": "/data"}]
    mounts += [{"name": folder, "mountPath": f"/data/{folder}"} for folder in folders]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        **runs,
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "volumeMounts": mounts,
    }
    pod = {
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001},
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": mount["name"], "emptyDir": {}} for mount in mounts],
    }
    spec = {"type": "NodePort", "selector": labels, "ports": [{"port": port}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec},
    ]
