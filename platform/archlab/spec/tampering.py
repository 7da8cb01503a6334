"""What somebody did to a lab's records and files by hand before its learner sees it, and what an auditor finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from .audit import Anchor
from .base import Slug, Spec
from .policy import DecisionRecord

HOW = {
    "record": ("edit", "rehash", "rewrite", "drop"),
    "event": ("drop", "rewrite"),
    "file": ("exchange", "retag", "resign"),
}
"""In which ways each kind of thing can be tampered with."""


class Audit(Spec):
    """An auditor's visit: the decision log's head was kept where those who run the lab don't write."""

    name: Slug
    after: int = Field(ge=0)
    """When the log had so many records, or its last one where it has fewer; 0: the visit did not take place."""


class Tampering(Spec):
    """One deed, past every gate, with an editor on the disk."""

    name: Slug
    kind: Literal["record", "event", "file"]
    """A record of the decision log, a run among the lineage events, a version's model file in the artifact store."""
    model: Slug | Literal[""] = ""
    candidate: Slug | Literal[""] = ""
    """Of a record or a file: which version it is about. The model's first one when no candidate is named."""
    how: Literal["edit", "rehash", "rewrite", "drop", "exchange", "retag", "resign"]
    """A record: edited in place; with its own hash made right; with everything after it written anew; taken out.
    An event: taken out; and the rest written anew. A file: exchanged for another version's; with the registry's digest
    made right; and signed again."""
    part: Literal["approver", "asker", "time"] = "approver"
    """Of a record of a promotion: which part of it is changed."""
    approver: Slug | Literal[""] = ""
    asker: Slug | Literal[""] = ""
    earlier: timedelta = timedelta(0)
    """What the part becomes: another approver, another who asked the gate, an earlier time."""
    job: str = Field(default="", max_length=120)
    """Of an event: the job whose runs are taken out."""

    def is_about(self, model: str, candidate: str) -> bool:
        """Whether a version is the one; `candidate` is empty for one that the scenario declares no candidate for."""
        return candidate == self.candidate if self.candidate else (model, candidate) == (self.model, "")

    @model_validator(mode="after")
    def _fits(self) -> Tampering:
        if self.how not in HOW[self.kind]:
            raise ValueError(f"{self.name}: a {self.kind} is not tampered with by {self.how!r}")
        value = {"approver": self.approver, "asker": self.asker, "time": self.earlier}[self.part]
        if self.kind == "record" and self.how != "drop" and not value:
            raise ValueError(f"{self.name}: what does {self.part} become?")
        if not (self.job if self.kind == "event" else self.model or self.candidate):
            raise ValueError(f"{self.name}: of which {'job' if self.kind == 'event' else 'version'}?")
        return self


class Tampered(Spec):
    """A deed as it was carried out."""

    name: Slug
    model: str = ""
    version: str = ""
    """Of a record or a file."""
    before: DecisionRecord | None = None
    """The record as it was written."""
    runs: tuple[str, ...] = ()
    """Ids of the runs that were taken out."""
    before_sha256: str = ""
    after_sha256: str = ""
    """The file's digest as it was registered, and after it was exchanged."""


class TamperingReport(Spec):
    """What was so before, and what was done: kept with the lab, so that truths need not trust what they judge."""

    format: Literal["archlab/tampering/v1"] = "archlab/tampering/v1"
    records: int
    """Length of the decision log then."""
    ways: dict[str, tuple[str, ...]]
    """By model: the jobs on the way back from its champion to the sources."""
    done: tuple[Tampered, ...]

    def deed(self, name: str) -> Tampered:
        """A deed by its name; KeyError otherwise."""
        for one in self.done:
            if one.name == name:
                return one
        raise KeyError(name)


class StoredVersion(Spec):
    """A version's file as it lies in the artifact store."""

    model: str
    version: str
    sha256: str
    """Empty when it is not there."""
    signature: str
    """`valid`, or why not."""


class Custody(Spec):
    """What an auditor of a lab that was tampered with can find there, and what really happened."""

    report: TamperingReport
    anchors: tuple[Anchor, ...]
    decision_faults: tuple[str, ...]
    """Of the log in itself."""
    stored: tuple[StoredVersion, ...]
    gaps: dict[str, tuple[str, ...]]
    """By model: links that are missing on the way back from its champion."""
