"""The commands of docs/kubernetes.md, run as they stand there, in order, on the cluster at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guide import GUIDE, UP, commands
from kube_objects import until

ROOT = Path(__file__).parents[3]
SAMPLE_IMAGE = "archlab-serving:0.1.0"
ELSEWHERE = ("kind ", "minikube ", "archlab image ")
"""Makes a cluster, or brings images to it: the cluster at hand has both."""
SAYS = {
    "archlab cluster status": "emulated",
    "helm test archlab-cluster": "Succeeded",
    "kubectl logs one-device": "ARCHLAB_DEVICE_BASIS=emulated",
    "kubectl get events --field-selector reason=FailedScheduling": "Insufficient nvidia.com/gpu",
    "kubectl apply -n seat-1 -f docs/kubernetes/three-pods.yaml": "exceeded quota: devices",
    "kubectl apply -n seat-1 -f docs/kubernetes/careless.yaml": "denied request: Deployment notebook: ",
    "archlab plan check docs/kubernetes/careless.yaml": "1 would be refused",
    "archlab plan check docs/kubernetes/careful.yaml": "none would be refused",
    "archlab cluster remove": "It is gone.",
}


def here() -> list[str]:
    """Those that need neither another cluster nor a lab."""
    return [command for command in commands(GUIDE) if not command.startswith((*ELSEWHERE, UP))]


class Shell:
    """One shell's state: its folder, its variables, its kubeconfig."""

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "docs" / "kubernetes", folder / "docs" / "kubernetes")
        for manifest in (folder / "docs" / "kubernetes").iterdir():
            manifest.write_text(manifest.read_text().replace(SAMPLE_IMAGE, image))
        config = folder / "kubeconfig"
        shutil.copy(os.environ["KUBECONFIG"], config)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | {"KUBECONFIG": str(config), "PATH": path, "ARCHLAB_SERVING_IMAGE": image}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of the guide; what it assigns stays."""
        name, assigns, _ = command.partition("=")
        line = f'{command}; printf %s "${name}"' if assigns and name.isupper() else command
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        if line != command:
            self._environment[name] = done.stdout
        return done


@pytest.fixture(scope="module")
def shell(plugin_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The reader's shell; nothing of the guide is left afterwards."""
    made = Shell(tmp_path_factory.mktemp("guide"), plugin_image)
    yield made
    for command in ("kubectl delete namespace try --ignore-not-found", "archlab cluster remove"):
        made.run(command)


def test_nothing_of_the_guide_is_left_out() -> None:
    known = {command.partition("   #")[0] for command in commands(GUIDE)}
    assert len(known) >= 30
    assert all(any(command.startswith(start) for command in known) for start in SAYS)


@pytest.mark.parametrize("command", here())
def test_a_command_of_the_guide(shell: Shell, command: str) -> None:
    line, _, remark = command.partition("   # ")
    expected = next((text for start, text in SAYS.items() if line.startswith(start)), "")

    def works() -> bool:
        done = shell.run(line)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is (remark == "refused"), said
        return expected in " ".join(said.split())

    if line.startswith(("kubectl get", "archlab cluster status")):
        until(works, f"{expected!r} in what it says")
    else:
        assert works(), expected
