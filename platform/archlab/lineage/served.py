"""The way back from what callers see: an alias, a version, a release, one prediction."""

from __future__ import annotations

from typing import Any

from archlab.lineage import names
from archlab.lineage.facts import Facts, Origin, Predicted, same_run
from archlab.lineage.trace import Draft, Graph, made_by, short
from archlab.spec.lineage import Lineage, LineageArtifact
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import Release, ReleaseKind

SHA256, DATA_DIGEST, CODE_VERSION = "archlab.sha256", "archlab.data_digest", "archlab.code_version"
PROMOTION, CHAMPION = "promotion/", "champion"


def of_alias(facts: Facts, model: str, alias: str) -> Lineage:
    """What answers under an alias of a model, back to the sources."""
    graph = Graph(facts)
    root, _ = graph.add("alias", f"{model}@{alias}")
    version = facts.aliases.get(model, {}).get(alias)
    if version is None:
        root.lacks("version", f"the registry has no alias {alias} of {model}", f"archlab promote {model} VERSION")
        return graph.lineage(root)
    root.facts["version"] = version
    served = [r for r in facts.releases if (r.model, r.role, r.version) == (model, alias, version)]
    for release in served:
        root.inputs.append(_release(graph, release).id)
    if not served:
        _not_served(root, facts, model, alias)
        root.inputs.append(_version(graph, model, version).id)
    allowed = facts.allowed(f"{PROMOTION}{alias}", model, version)
    if allowed is None:
        missing = f"no decision in the log allowed version {version} as {alias}"
        root.lacks("decision", missing, f"archlab promote {model} {version} --alias {alias}")
    else:
        root.inputs.append(_decision(graph, allowed).id)
    if looked_up := {c.source for r in served if r.kind is ReleaseKind.ONNX for c in r.columns} - {"request"}:
        _features(graph, root, looked_up)
    return graph.lineage(root)


def _not_served(root: Draft, facts: Facts, model: str, alias: str) -> None:
    """Why an alias has no release: by design, or because a link is missing."""
    version, releases = root.facts["version"], [r for r in facts.releases if r.model == model]
    champions = [r for r in releases if r.role == CHAMPION]
    tables = any(r.kind is ReleaseKind.TABLE for r in champions)
    if alias != CHAMPION and (tables or any(r.version == version for r in champions)):
        root.facts["served"] = "not beside tables" if tables else "as champion"
        return
    others = ", ".join(r.id for r in releases if r.role == alias) or "nothing"
    remedy = f"archlab batch run {model}" if tables else "Control, once a decision allows it: archlab promote"
    root.lacks("release", f"version {version} is not served; the feed has {others}", remedy)


def of_version(facts: Facts, model: str, version: str) -> Lineage:
    """A version, served or not, back to the sources."""
    graph = Graph(facts)
    return graph.lineage(_version(graph, model, version))


def of_prediction(facts: Facts, said: Predicted) -> Lineage:
    """One answer, back to the sources of the model and of the features that it was given."""
    graph = Graph(facts)
    root, _ = graph.add("prediction", said.request_id)
    root.facts |= {
        "at": said.at.isoformat(),
        "model": said.model,
        "version": said.version,
        "prediction": said.prediction,
        "keys": said.keys,
        "status": str(said.status),
    }
    made = facts.made(names.release(said.release)) if said.release else []
    before = [(artifact, run) for artifact, run in made if run.at <= said.at] or made
    if not before:
        remedy = made_by(names.part(names.RELEASES))
        root.lacks("release", f"no event says that {said.release or 'a release'} was published", remedy)
    else:
        artifact, run = before[-1]
        draft = graph.artifact(artifact, run)
        root.inputs.append(draft.id)
        of_version = (a.sha256 for a in run.inputs if a.name == names.version(said.model, said.version))
        digest = next(of_version, None)
        if digest is None:
            missing = f"its event does not name version {said.version} of {said.model}"
            draft.lacks("version", missing, made_by(names.part(names.RELEASES)))
        _decided(graph, draft, run.facts.get("decision", ""), digest or "")
        draft.inputs.append(_version(graph, said.model, said.version).id)
        looked_up = set(run.facts.get("views", "").split())
        if run.facts.get("kind") == ReleaseKind.ONNX.value and looked_up:
            _snapshot_of(graph, root, said.snapshot, looked_up)
    return graph.lineage(root)


def _release(graph: Graph, release: Release) -> Draft:
    draft = graph.artifact(LineageArtifact(name=names.release(release.id), sha256=release.sha256))
    if "decision" not in draft.facts:
        draft.facts |= {"role": release.role, "kind": release.kind.value, "decision": release.decision_id}
        said = draft.made_by.facts.get("decision", "") if draft.made_by else release.decision_id
        if said != release.decision_id:
            missing = f"the feed names decision {release.decision_id}, its event {said or 'none'}"
            draft.lacks("decision", missing, made_by(names.part(names.RELEASES)))
        _decided(graph, draft, release.decision_id, release.decision_sha256)
        draft.inputs.append(_version(graph, release.model, release.version).id)
    return draft


def _decided(graph: Graph, draft: Draft, identifier: str, digest: str) -> None:
    record = graph.facts.decision(identifier)
    if record is None:
        missing = f"decision {identifier or 'none'} is not in the log"
        draft.lacks("decision", missing, "The gate, when it let the alias be set: archlab promote")
        return
    draft.inputs.append(_decision(graph, record).id)
    if len(digest) == 64 and record.query.resource.digest != digest:
        missing = f"decision {record.id} names file {short(record.query.resource.digest)}, not {short(digest)}"
        draft.lacks("decision", missing, "A decision about this very file: archlab promote")


def _decision(graph: Graph, record: DecisionRecord) -> Draft:
    draft, new = graph.add("decision", record.id)
    if new:
        about = _told(record)
        draft.facts |= {
            "action": record.query.action,
            "allowed": "yes" if record.decision.allow else "no",
            "asked_by": record.query.subject.user,
            "author": str(about.get("author", "")),
            "approved_by": str(about.get("approved_by", "")),
            "file": record.query.resource.digest,
            "engine": record.decision.engine,
            "business_time": record.business_time.isoformat(),
        }
        if not record.decision.allow:
            draft.lacks("allowance", "it denied", f"archlab promote {record.query.resource.name}")
    return draft


def _told(record: DecisionRecord) -> dict[str, Any]:
    """What a decision was told of the version."""
    about = record.query.evidence.get("version")
    return about if isinstance(about, dict) else {}


def _version(graph: Graph, model: str, number: str) -> Draft:
    """A version with what the registry and the decisions say of it, each held against the other."""
    name, facts = names.version(model, number), graph.facts
    origin = facts.origin(model, number)
    made = facts.made(name)
    registered = facts.registered_by(name, origin.run_id) if origin else (made[-1][1] if made else None)
    sha256 = origin.tags.get(SHA256, "") if origin else (made[-1][0].sha256 if made else "")
    about = LineageArtifact(name=name, sha256=sha256 if len(sha256) == 64 else "")
    fits = registered is not None and (not about.sha256 or about in registered.outputs)
    draft = graph.artifact(about, registered if fits else None)
    if "checked" in draft.facts:
        return draft
    draft.facts["checked"] = "registry" if origin else "decision log"
    if origin is None:
        _tombstone(draft, facts, model, number)
    else:
        _registry_agrees(graph, draft, origin)
    promoted = facts.allowed(f"{PROMOTION}{CHAMPION}", model, number)
    if promoted is not None:
        draft.inputs.append(_decision(graph, promoted).id)
        _decision_agrees(draft, promoted, origin)
    return draft


def _tombstone(draft: Draft, facts: Facts, model: str, number: str) -> None:
    gone = facts.deleted(model, number)
    if gone is None:
        missing = "the registry has no such version, and no decision let it be deleted"
        draft.lacks("registry", missing, "Its registration; a deletion through the gate leaves a decision")
        return
    draft.facts |= {"deleted": f"{gone.business_time:%Y-%m-%d} by {gone.query.subject.user}, decision {gone.id}"}
    listed = gone.query.evidence.get("versions")
    for told in listed if isinstance(listed, list) else ():
        same = isinstance(told, dict) and told.get("version") == number
        if same and (sha256 := str(told.get("sha256") or "")) and sha256 != draft.sha256:
            missing = f"decision {gone.id} deleted file {short(sha256)}, on record is {short(draft.sha256)}"
            draft.lacks("decision", missing, "A registration of that very file on record")


def _registry_agrees(graph: Graph, draft: Draft, origin: Origin) -> None:
    tags, run = origin.tags, draft.made_by
    draft.facts |= {
        "author": tags.get("archlab.author", ""),
        "approved_by": tags.get("archlab.approved_by", ""),
        "data_digest": tags.get(DATA_DIGEST, ""),
        "mlflow_run": origin.run_id,
    }
    remedy = "The registration by the pipeline (archlab.pipelines.register)"
    if not draft.sha256:
        draft.lacks("its file", f"tag {SHA256} is missing", "The registry's gate, when the version is registered")
    if run is not None and not same_run(run.run_id, origin.run_id):
        missing = f"the registry names MLflow run {origin.run_id or 'none'}, the event of its registration {run.run_id}"
        draft.lacks("MLflow run", missing, remedy)
    if origin.run_tags is None:
        draft.lacks("MLflow run", f"the registry has no run {origin.run_id or '(none is named)'}", remedy)
    elif origin.run_tags.get("data_digest", "") != tags.get(DATA_DIGEST, ""):
        said, tagged = origin.run_tags.get("data_digest", ""), tags.get(DATA_DIGEST, "")
        draft.lacks("data", f"its MLflow run names data {short(said)}, its tag {short(tagged)}", remedy)
    _training_agrees(graph, draft, tags, remedy)


def _training_agrees(graph: Graph, draft: Draft, tags: dict[str, str], remedy: str) -> None:
    """The data and the code that events lead to are those that the version's tags name."""
    runs = [below.made_by for below in graph.below(draft) if below.made_by is not None]
    for fact, tag in (("data_digest", DATA_DIGEST), ("code_version", CODE_VERSION)):
        found, tagged = {run.facts[fact] for run in runs if fact in run.facts}, tags.get(tag, "")
        if not tagged:
            draft.lacks("training", f"tag {tag} is missing", remedy)
        elif found - {tagged}:
            other = short(min(found - {tagged}))
            draft.lacks("training", f"tag {tag} is {short(tagged)}, the runs on record say {other}", remedy)


def _decision_agrees(draft: Draft, record: DecisionRecord, origin: Origin | None) -> None:
    remedy = f"A decision about the version as it is: archlab promote {record.query.resource.name}"
    if record.query.resource.digest != draft.sha256:
        missing = f"decision {record.id} is about file {short(record.query.resource.digest)}, not {short(draft.sha256)}"
        draft.lacks("decision", missing, remedy)
    said = str(_told(record).get("data_digest", ""))
    if origin is not None and said != origin.tags.get(DATA_DIGEST, ""):
        tagged = short(origin.tags.get(DATA_DIGEST, ""))
        draft.lacks("decision", f"decision {record.id} was told data {short(said)}, the tag says {tagged}", remedy)


def _features(graph: Graph, root: Draft, views: set[str]) -> None:
    """What is looked up for callers now."""
    if graph.facts.manifest is None:
        missing = "control has published none"
        root.lacks("snapshot", missing, made_by(names.part(names.MANIFEST)))
        return
    manifest, sha256 = graph.facts.manifest
    about = LineageArtifact(name=names.snapshot(manifest.sequence), sha256=sha256)
    root.inputs.append(graph.artifact(about, only=_rows(views)).id)


def _snapshot_of(graph: Graph, root: Draft, sequence: int, views: set[str]) -> None:
    """The snapshot that an answer's features came from."""
    made = graph.facts.made(names.snapshot(sequence))
    if not made:
        missing = f"no event says what snapshot {sequence} was made from"
        root.lacks("snapshot", missing, made_by(names.part(names.MANIFEST)))
        return
    root.inputs.append(graph.artifact(*made[-1], only=_rows(views)).id)


def _rows(views: set[str]) -> frozenset[str]:
    return frozenset(names.view_rows(view) for view in views)
