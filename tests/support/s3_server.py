"""A real S3-compatible server for tests, where its program is: versitygw on a folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gated_registry import wait_for
from ports_for_tests import free_port

VERSITYGW = shutil.which("versitygw")
WITHOUT = "there is no versitygw on PATH"
KEY, SECRET = "models", "a-secret-of-the-tests"
BUCKET = "models"


@dataclass(frozen=True)
class S3:
    """A running server with one bucket."""

    url: str
    folder: Path
    """The server's own: objects are files in it."""

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to keep MLflow's files in the bucket."""
        return {
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{BUCKET}/lab",
            "MLFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def client(self) -> Any:
        """Somebody else who has the keys."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """A server on a port of its own, with an empty bucket."""
    port = free_port()
    objects, attributes = folder / "objects", folder / "attributes"
    objects.mkdir()
    attributes.mkdir()
    command = [str(VERSITYGW), "--access", KEY, "--secret", SECRET, "--port", f"127.0.0.1:{port}", "--quiet"]
    command += ["posix", "--sidecar", str(attributes), str(objects)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = S3(f"http://127.0.0.1:{port}", objects)
    try:
        wait_for(lambda: _answers(port), "the S3 server")
        found.client.create_bucket(Bucket=BUCKET)
        yield found
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
