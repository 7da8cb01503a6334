"""What builds, loads and bundles the images; and that they hold what the lock says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.targets.kube.images import build_commands, bundle_command, images, load_commands, tagged

ROOT = Path(__file__).parents[4]
PIN = re.compile(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==([^ ;\\]+)", re.MULTILINE)


@pytest.mark.parametrize("name", ["serving", "platform"])
def test_an_image_holds_the_versions_of_the_lock(name: str) -> None:
    locked = set(PIN.findall((ROOT / "requirements.lock").read_text()))
    held = set(PIN.findall((ROOT / "images" / f"{name}.lock").read_text()))
    assert len(held) > 15
    assert not held - locked


def test_each_stage_is_built_with_its_name_and_further_options() -> None:
    small, large = build_commands("docker", Path("/src"), "abc", ["--network", "host"])
    platform, serving = images()
    assert small[:2] == ["docker", "build"]
    assert (small[small.index("--target") + 1], small[small.index("--tag") + 1]) == ("serving", serving)
    assert (large[large.index("--target") + 1], large[large.index("--tag") + 1]) == ("platform", platform)
    assert "REVISION=abc" in large
    assert large[-3:] == ["--network", "host", "/src"]


def test_clusters_find_podmans_images_under_their_short_names() -> None:
    assert tagged("podman", "archlab:1") == "docker.io/library/archlab:1"
    assert tagged("docker", "archlab:1") == "archlab:1"
    assert tagged("/usr/bin/podman", "localhost:5000/archlab:1") == "localhost:5000/archlab:1"


def test_kind_minikube_or_a_command_of_ones_own_load_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLAB_IMAGE", "a:1")
    monkeypatch.setenv("ARCHLAB_SERVING_IMAGE", "b:2")
    assert load_commands("kind") == [["kind", "load", "docker-image", "a:1"], ["kind", "load", "docker-image", "b:2"]]
    assert load_commands("minikube")[0] == ["minikube", "image", "load", "a:1"]
    assert load_commands("ctr import 'x {image}'")[1] == ["ctr", "import", "x b:2"]
    with pytest.raises(UserError, match="does not say where"):
        load_commands("ctr import")


def test_a_bundle_holds_both() -> None:
    assert bundle_command("docker", Path("x.tar"))[-2:] == list(images())
    assert "--multi-image-archive" in bundle_command("podman", Path("x.tar"))
