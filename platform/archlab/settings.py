"""Where things are: archlab's home, one lab's folder, and the content that ships with the product."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


def home() -> Path:
    """`ARCHLAB_HOME`, or `.archlab` in the working directory or its nearest parent that has one."""
    if named := os.environ.get("ARCHLAB_HOME"):
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".archlab").is_dir():
            return folder / ".archlab"
    return here / ".archlab"


def data_root(name: str) -> Path:
    """A folder of shipped content (`policies`, `helm`): the checkout's, otherwise the wheel's copy.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    package = Path(__file__).parent
    for candidate in (package.parent.parent / name, package / "_data" / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is neither beside the checkout's platform/ nor in the installed package")


def scenarios_root() -> Path:
    """Folder of the scenario packages; found without importing any of them."""
    spec = importlib.util.find_spec("archlab_scenarios")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("archlab_scenarios is not installed")
    return Path(spec.origin).parent


def scenario_roots() -> tuple[Path, ...]:
    """Folders that hold scenarios: those that `ARCHLAB_SCENARIOS` names, and the one that ships with archlab."""
    named = os.environ.get("ARCHLAB_SCENARIOS", "").split(os.pathsep)
    return (*(Path(part).expanduser().resolve() for part in named if part), scenarios_root())


@dataclass(frozen=True, slots=True)
class LabFolder:
    """Paths of one lab; see docs/interfaces.md for what is in them."""

    root: Path

    @classmethod
    def of(cls, lab: str) -> LabFolder:
        """The folder of a lab by name."""
        return cls(home() / lab)

    @classmethod
    def from_environment(cls) -> LabFolder:
        """The folder that ARCHLAB_LAB names; KeyError when unset."""
        return cls(Path(os.environ["ARCHLAB_LAB"]))

    @property
    def name(self) -> str:
        """Name of the lab."""
        return self.root.name

    @property
    def cache(self) -> Path:
        """What labs share, addressed by digest."""
        return self.root.parent / "cache"

    @property
    def run(self) -> Path:
        """Short folder for unix sockets (their paths are limited to about 100 characters)."""
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"archlab-{os.getuid()}-{digest}"

    def socket(self, name: str) -> Path:
        """Path of a unix socket: `registry`, `control`, `supervisor` or `<unit>-<index>`."""
        return self.run / f"{name}.sock"

    def grpc_socket(self, replica: str) -> Path:
        """Path of the unix socket on which a server's replica, `<unit>-<index>`, speaks gRPC."""
        return self.run / f"{replica}.grpc.sock"

    @property
    def identity(self) -> Path:
        """lab.json."""
        return self.root / "lab.json"

    @property
    def scenario(self) -> Path:
        """The scenario as resolved (variant and overrides applied)."""
        return self.root / "scenario.json"

    @property
    def plan(self) -> Path:
        """The last plan applied."""
        return self.root / "plan.json"

    @property
    def overrides(self) -> Path:
        """The learner's desired state."""
        return self.root / "overrides.json"

    @property
    def keys(self) -> Path:
        """Signing keys; where ARCHLAB_KEYS says, in pods that get them from a Secret."""
        mounted = os.environ.get("ARCHLAB_KEYS")
        return Path(mounted) if mounted else self.root / "keys"

    @property
    def tokens(self) -> Path:
        """Header files with bearer tokens."""
        return self.root / "tokens"

    @property
    def conf(self) -> Path:
        """Generated configuration of supervisord and Envoy."""
        return self.root / "conf"

    @property
    def log(self) -> Path:
        """Output of units and jobs."""
        return self.root / "log"

    @property
    def registry(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "registry"

    @property
    def policies(self) -> Path:
        """The learner's own rules."""
        return self.root / "policies"

    @property
    def bundle(self) -> Path:
        """Folder of the signed policy bundle in force."""
        return self.root / "policy"

    @property
    def releases(self) -> Path:
        """Release feed and its files."""
        return self.root / "releases"

    @property
    def features(self) -> Path:
        """Feast's registry, online store and offline files."""
        return self.root / "features"

    @property
    def snapshots(self) -> Path:
        """Online feature snapshots."""
        return self.root / "snapshots"

    @property
    def control_db(self) -> Path:
        """Control's database."""
        return self.root / "control" / "control.db"

    @property
    def predictions(self) -> Path:
        """Prediction logs."""
        return self.root / "predictions"

    @property
    def batch(self) -> Path:
        """Answers of batch runs."""
        return self.root / "batch"

    @property
    def outages(self) -> Path:
        """What was really stopped for a while, and what went on meanwhile."""
        return self.root / "outages"

    @property
    def regions(self) -> Path:
        """What regions keep: a folder for each, archives outside both, and where the pair stands."""
        return self.root / "regions"

    @property
    def start(self) -> Path:
        """The state right after seeding."""
        return self.root / "start"
