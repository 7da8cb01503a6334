"""The signed policy bundle: built-in rules and the lab's own in one file that engines read.

`policy/bundle.json` is canonical JSON; its SHA-256 is the bundle's digest. `policy/bundle.sig` is the Ed25519 signature
over its bytes by the lab's release key, in base64. Whatever can't be verified is refused, and what was in force stays.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, ValidationError

from archlab.errors import ArchlabError, SpecError
from archlab.files import write_atomic
from archlab.policy import index
from archlab.policy.chain import canonical_json
from archlab.policy.check import check
from archlab.policy.sources import RuleSource, core, rules
from archlab.settings import LabFolder, data_root
from archlab.spec.base import Spec

ENTRY = "data.archlab.decision"
"""What engines evaluate."""

INDEX_KEY = "archlab/index.rego"


class BundleError(ArchlabError):
    """A bundle that must not be used: unsigned, changed, unreadable."""


class BundledRule(Spec):
    """One rule of a bundle, as it declares itself."""

    area: str
    name: str
    origin: str
    actions: tuple[str, ...]
    requires: tuple[str, ...]
    waivable: bool = False
    """Whether an exception may stand in for it."""

    @property
    def id(self) -> str:
        """`AREA/RULE`, as reasons and exceptions name it."""
        return f"{self.area}/{self.name}"


class PolicyBundle(Spec):
    """Everything an engine needs, by name of module."""

    format: Literal["archlab/policy-bundle/v1"] = "archlab/policy-bundle/v1"
    sequence: int = Field(default=0, ge=0)
    """Grows whenever the content changes; an engine never goes back to a lower one."""
    modules: dict[str, str]
    rules: tuple[BundledRule, ...]


class SignedBundle(Spec):
    """A bundle whose signature was checked."""

    digest: str
    bundle: PolicyBundle


def build(sources: Sequence[RuleSource], core_modules: Mapping[str, str]) -> PolicyBundle:
    """One bundle from checked rules.

    Raises:
        SpecError: a rule does not compile; the message names file and line.
    """
    facts = check(sources, core_modules)
    modules = {**core_modules, INDEX_KEY: index.generate(facts)}
    modules |= {source.key: source.text for rule in sources for source in rule.files}
    listed = tuple(
        BundledRule(
            area=f.area, name=f.name, origin=f.origin, actions=f.actions, requires=f.requires, waivable=f.waivable
        )
        for f in facts
    )
    return PolicyBundle(modules=dict(sorted(modules.items())), rules=listed)


def built_in() -> PolicyBundle:
    """A bundle of the built-in rules alone.

    Raises:
        SpecError: one of them does not compile.
    """
    root = data_root("policies")
    return build(rules(root, "built-in"), {source.key: source.text for source in core(root)})


def collect(folder: LabFolder) -> PolicyBundle:
    """A bundle of the built-in rules and the lab's own.

    Raises:
        SpecError: a rule does not compile, or a lab's rule has the name of a built-in one.
    """
    root = data_root("policies")
    built_in, own = rules(root, "built-in"), rules(folder.policies, "lab")
    taken = {rule.id for rule in built_in}
    for rule in own:
        if rule.id in taken:
            raise SpecError(f"policies/{rule.id} has the name of a built-in rule.", "Give your rule another name.")
    return build([*built_in, *own], {source.key: source.text for source in core(root)})


def publish(folder: LabFolder) -> str:
    """Sign the rules as they are now into `policy/`; returns the digest. The old bundle stays when a rule is refused.

    Rules that did not change keep their bundle, with its sequence and digest.

    Raises:
        SpecError: as `collect`.
    """
    bundle, before = collect(folder), _published(folder)
    if before and before.bundle.model_copy(update={"sequence": 0}) == bundle:
        return before.digest
    sequence = before.bundle.sequence + 1 if before else _claimed_sequence(folder) + 1
    content = canonical_json(bundle.model_copy(update={"sequence": sequence}).model_dump(mode="json"))
    key = serialization.load_pem_private_key((folder.keys / "release.pem").read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"{folder.keys / 'release.pem'} is not an Ed25519 key.", "Make the lab's keys again.")
    signature = base64.b64encode(key.sign(content))
    write_atomic(folder.bundle / "bundle.sig", signature)
    write_atomic(folder.bundle / "bundle.json", content)
    return hashlib.sha256(content).hexdigest()


def _published(folder: LabFolder) -> SignedBundle | None:
    """The bundle that is there; None when it can't be used."""
    try:
        return load(folder)
    except BundleError:
        return None


def _claimed_sequence(folder: LabFolder) -> int:
    """The sequence that a bundle claims which can't be verified any more: the next one has to be higher."""
    try:
        found = json.loads((folder.bundle / "bundle.json").read_bytes())["sequence"]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError):
        return int(time.time())
    return found if isinstance(found, int) and 0 <= found < time.time() else int(time.time())


def load(folder: LabFolder, *, at_least: int = 0) -> SignedBundle:
    """The bundle that was published, its signature checked.

    Args:
        folder: of the lab.
        at_least: lowest sequence that is taken: a signed bundle of yesterday is no bundle of today.

    Raises:
        BundleError: it is absent, unsigned, changed, too old, or not a bundle.
    """
    remedy = "Publish it again: archlab policy apply"
    try:
        content = (folder.bundle / "bundle.json").read_bytes()
        signature = base64.b64decode((folder.bundle / "bundle.sig").read_bytes(), validate=True)
        public = serialization.load_pem_public_key((folder.keys / "release.pub.pem").read_bytes())
    except OSError as error:
        raise BundleError(f"The policy bundle can't be read: {error}.", remedy) from None
    except binascii.Error:
        raise BundleError("The policy bundle's signature is not base64.", remedy) from None
    if not isinstance(public, Ed25519PublicKey):
        raise BundleError("The lab's release key is not an Ed25519 key.", remedy)
    try:
        public.verify(signature, content)
    except InvalidSignature:
        raise BundleError("The policy bundle was changed after it was signed.", remedy) from None
    try:
        bundle = PolicyBundle.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(f"The policy bundle can't be understood: {error.errors()[0]['msg']}.", remedy) from None
    if bundle.sequence < at_least:
        raise BundleError(f"Bundle {bundle.sequence} is older than {at_least}, which is in force.", remedy)
    return SignedBundle(digest=hashlib.sha256(content).hexdigest(), bundle=bundle)
