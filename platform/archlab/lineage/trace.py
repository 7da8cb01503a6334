"""The way back from an artifact through the runs that made it to the source files. Every link that is missing is named.

An artifact and the run that made it are joined by name and digest. So an event that was deleted leaves its outputs
without a maker, and one that was changed no longer fits its neighbours. Files that are still there are hashed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from archlab.lineage import names
from archlab.lineage.digests import data_digest
from archlab.lineage.facts import Facts
from archlab.spec.lineage import Lineage, LineageArtifact, LineageGap, LineageNode, LineageRun, NodeKind

LOGS = "The records that everything rests on"
AUDIT = "Nothing makes that whole again; archlab audit verify, and compare with an export"


@dataclass(slots=True)
class Draft:
    """A node while its links are looked for."""

    id: str
    kind: NodeKind
    name: str
    sha256: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    made_by: LineageRun | None = None
    inputs: list[str] = field(default_factory=list)
    gaps: list[LineageGap] = field(default_factory=list)

    def lacks(self, what: str, missing: str, remedy: str) -> None:
        """Name a link that is missing between this and `what`."""
        self.gaps.append(LineageGap(link=f"{self.kind} {self.name} -> {what}", missing=missing, remedy=remedy))

    def node(self) -> LineageNode:
        """As it is handed out."""
        return LineageNode.model_validate(
            {
                "id": self.id,
                "kind": self.kind,
                "name": self.name,
                "sha256": self.sha256,
                "facts": self.facts,
                "made_by": self.made_by,
                "inputs": tuple(dict.fromkeys(self.inputs)),
                "gaps": tuple(self.gaps),
            }
        )


class Graph:
    """Nodes found so far, each once."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._drafts: dict[str, Draft] = {}

    def add(self, kind: NodeKind, name: str, sha256: str = "") -> tuple[Draft, bool]:
        """The node of a thing, and whether it is new."""
        identifier = f"{name}#{sha256[:12]}" if sha256 else name
        known = self._drafts.get(identifier)
        if known is None:
            self._drafts[identifier] = Draft(identifier, kind, name, sha256)
        return self._drafts[identifier], known is None

    def artifact(
        self, artifact: LineageArtifact, run: LineageRun | None = None, only: frozenset[str] = frozenset()
    ) -> Draft:
        """An artifact and everything that it came from.

        Args:
            artifact: by name and digest.
            run: its maker, where that is known otherwise than by the digest.
            only: names among what its maker read; all when empty. One that its maker did not read is a gap.
        """
        part = names.part(artifact.name)
        draft, new = self.add(part.kind, artifact.name, artifact.sha256)
        if not new:
            return draft
        self._compare(draft, artifact)
        if part.kind == "source file":
            if not artifact.sha256:
                draft.lacks("its content", "the run that read it names no digest", names.part(names.DATA).maker)
            return draft
        draft.made_by = run or self.facts.maker(artifact)
        if draft.made_by is None:
            self._no_maker(draft, part)
            return draft
        self._follow(draft, draft.made_by, part, only)
        return draft

    def _follow(self, draft: Draft, run: LineageRun, part: names.Part, only: frozenset[str]) -> None:
        """Add what a run read, and name what it must have read and does not say."""
        read = [artifact.name for artifact in run.inputs]
        for group in part.made_from:
            if not any(name.startswith(prefix) for name in read for prefix in group):
                wanted = " or ".join(dict.fromkeys(names.part(prefix).kind for prefix in group))
                draft.lacks(wanted, f"run {run.job} (event {run.sequence}) names none that it read", made_by(part))
        if part.kind == "typed data":
            _binds(draft, run)
        for name in sorted(only.difference(read)):
            missing = f"run {run.job} (event {run.sequence}) did not read {name}"
            draft.lacks(names.part(name).kind, missing, made_by(part))
        draft.inputs += [self.artifact(found).id for found in run.inputs if not only or found.name in only]

    def below(self, start: Draft) -> Iterable[Draft]:
        """Everything that a node came from."""
        seen: set[str] = set()
        waiting = list(start.inputs)
        while waiting:
            identifier = waiting.pop()
            if identifier not in seen:
                seen.add(identifier)
                waiting += self._drafts[identifier].inputs
                yield self._drafts[identifier]

    def lineage(self, root: Draft) -> Lineage:
        """The whole answer."""
        reached = {root.id, *(draft.id for draft in self.below(root))}
        nodes = tuple(draft.node() for draft in self._drafts.values() if draft.id in reached)
        faults = [("lineage log", f) for f in self.facts.log_faults]
        faults += [("decision log", f) for f in self.facts.decision_faults]
        whole = tuple(LineageGap(link=f"{LOGS} -> {log}", missing=fault, remedy=AUDIT) for log, fault in faults)
        sources = {n.name.removeprefix(names.SOURCE): n.sha256 for n in nodes if n.kind == "source file"}
        gaps = (*(gap for node in nodes for gap in node.gaps), *whole)
        if not sources and not gaps:
            link = f"{root.kind} {root.name} -> source file"
            gaps = (LineageGap(link=link, missing="none was reached", remedy=AUDIT),)
        return Lineage(lab=self.facts.lab, root=root.id, nodes=nodes, gaps=gaps, sources=sources)

    def _no_maker(self, draft: Draft, part: names.Part) -> None:
        others = self.facts.made(draft.name)
        if others:
            sha256 = others[-1][0].sha256
            missing = (
                f"it is used with digest {short(draft.sha256)}, run {others[-1][1].job} wrote it with {short(sha256)}"
            )
        else:
            missing = "no event says which run made it"
        draft.lacks("the run that made it", missing, made_by(part))

    def _compare(self, draft: Draft, artifact: LineageArtifact) -> None:
        there = self.facts.found(artifact)
        if there is None or there == artifact.sha256 or not artifact.sha256:
            return
        is_now = f"its digest is {short(there)} now" if there else "it is not there any more"
        recorded = f"{is_now}, on record is {short(artifact.sha256)}"
        draft.lacks("its content", recorded, "The file as it was made; a copy of it, or archlab reset")


def made_by(part: names.Part) -> str:
    """A sentence for a gap's remedy."""
    return f"Reported by {part.maker}" if part.maker else "Reported by the run that reads it"


def short(sha256: str) -> str:
    """Enough of a digest to compare by eye."""
    return f"{sha256[:12]}…" if sha256 else "none"


def _binds(draft: Draft, run: LineageRun) -> None:
    """The digests of the sources, their reader and the views' code have to give the data's digest."""
    business = run.job.partition(".")[2]
    prefix = names.source(business, "")
    sources = {a.name.removeprefix(prefix): a.sha256 for a in run.inputs}
    computed = data_digest(sources, run.facts.get("reader", ""), run.facts.get("views", ""))
    said = run.facts.get("data_digest", "")
    if computed != said:
        missing = f"the digests of the sources give data {short(computed)}, the run says {short(said)}"
        draft.lacks("source file", missing, made_by(names.part(names.DATA)))
