"""What a scenario declares to have been done by hand, done: in the databases and on the disk, past every gate.

First the heads that auditors kept are put outside the lab, then it is written down what will be done, then it is done.
A deed that is found done is left alone, so all of this can be killed and run again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from archlab import signing
from archlab.errors import ArchlabError, LabStateError, UserError
from archlab.files import file_sha256, write_atomic, write_model
from archlab.lab import anchors
from archlab.lab.facts import all_versions
from archlab.lab.lab import Lab
from archlab.lineage import log
from archlab.plan.candidates import NAME
from archlab.policy import chain, forgery
from archlab.policy.audit import heads
from archlab.registry.artifacts import model_file
from archlab.registry.evidence import SHA256
from archlab.registry.store import FolderStore
from archlab.spec.grading import VersionFacts
from archlab.spec.lineage import Lineage, LineageRecord
from archlab.spec.plan import Progress
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Scenario
from archlab.spec.tampering import Custody, StoredVersion, Tampered, Tampering, TamperingReport

DIGEST_TAGS = (SHA256, "archlab.onnx_sha256")


def check(scenario: Scenario, *, on_cluster: bool) -> None:
    """Whether a lab can be what its scenario declares.

    Raises:
        UserError: it would be on a cluster, where nobody writes into its volumes by hand.
    """
    if scenario.tampering and on_cluster:
        raise UserError(
            f"In scenario {scenario.name} records and files were changed by hand; that is done to files of this "
            "machine, not to a cluster's volumes.",
            f"Bring it up here: archlab up {scenario.name}",
        )


def carry_out(lab: Lab, progress: Progress) -> None:
    """Do what the scenario declares."""
    declared = lab.resolved.tampering
    if not declared:
        return
    progress("records", "as an auditor finds them")
    with _database(lab.folder.control_db) as db:
        if not _file(lab).exists():
            _prepare(lab, db)
        report = _report(lab)
        for deed in declared:
            match deed.kind:
                case "record":
                    _change_log(db, deed, report.deed(deed.name))
                case "event":
                    _change_events(db, deed)
                case "file":
                    _exchange(lab, deed, report.deed(deed.name))


def custody(lab: Lab, versions: Sequence[VersionFacts]) -> Custody | None:
    """What an auditor finds; None in a lab that nobody tampered with."""
    if not _file(lab).exists():
        return None
    from archlab.lab import audit

    kept = audit.of_lab(lab)
    return Custody(
        report=_report(lab),
        anchors=kept.anchors,
        decision_faults=tuple(chain.verify(kept.records)),
        stored=tuple(_stored(lab, version) for version in versions),
        gaps={m.name: tuple(f"{g.link}: {g.missing}" for g in _way(lab, m.name).gaps) for m in lab.declared.models},
    )


def _prepare(lab: Lab, db: sqlite3.Connection) -> None:
    records, versions = _records(db), all_versions(lab)
    anchors.keep_start(lab, heads(lab.resolved.audits, lab.name, records))
    ways = {m.name: _jobs(_way(lab, m.name)) for m in lab.declared.models}
    done = tuple(_planned(db, deed, records, versions) for deed in lab.resolved.tampering)
    write_model(_file(lab), TamperingReport(records=len(records), ways=ways, done=done))


def _planned(
    db: sqlite3.Connection, deed: Tampering, records: Sequence[DecisionRecord], versions: Sequence[VersionFacts]
) -> Tampered:
    """What a deed will have done.

    Raises:
        LabStateError: there is nothing of what it is about.
    """
    if deed.kind == "event":
        runs = tuple(dict.fromkeys(log.run_of(r) for r in _events(db) if log.job_of(r) == deed.job))
        if not runs:
            raise _nothing(deed, f"no lineage event of job {deed.job}")
        return Tampered(name=deed.name, runs=runs)
    return about_version(deed, records, versions)


def about_version(deed: Tampering, records: Sequence[DecisionRecord], versions: Sequence[VersionFacts]) -> Tampered:
    """What a deed on a version's record or file changes; a file is exchanged for the newest other version's.

    Raises:
        LabStateError: there is nothing of what it is about.
    """
    version = next((v for v in versions if deed.is_about(v.model, v.tags.get(NAME, ""))), None)
    if version is None:
        raise _nothing(deed, "no such version in the registry")
    about = Tampered(name=deed.name, model=version.model, version=version.version)
    if deed.kind == "file":
        others = [v for v in versions if v.model == version.model and v.version != version.version]
        if not others:
            raise _nothing(deed, f"no other version of {version.model}")
        return about.model_copy(update={"before_sha256": version.tags[SHA256], "after_sha256": others[-1].tags[SHA256]})
    before = forgery.meant(records, deed)
    if before is None:
        raise _nothing(deed, "no such decision in the log")
    return about.model_copy(update={"before": before})


def _nothing(deed: Tampering, why: str) -> LabStateError:
    return LabStateError(f"Tampering {deed.name}: there is {why}.", "It is a fault of the scenario: name another.")


def _change_log(db: sqlite3.Connection, deed: Tampering, plan: Tampered) -> None:
    db.execute("BEGIN IMMEDIATE")
    records = _records(db)
    if plan.before in records:
        rows = [
            (*(r.sequence, r.query.action, r.query.resource.name), r.query.resource.version, r.decision.allow, text)
            for r in forgery.forged(records, deed)
            for text in (r.model_dump_json(),)
        ]
        db.execute("DELETE FROM decisions")
        db.executemany("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.execute("COMMIT")


def _change_events(db: sqlite3.Connection, deed: Tampering) -> None:
    db.execute("BEGIN IMMEDIATE")
    records = _events(db)
    if any(log.job_of(record) == deed.job for record in records):
        known = dict(db.execute("SELECT event, run_id || ' ' || event_type FROM lineage"))
        left = log.without(records, deed.job, renewed=deed.how == "rewrite")
        rows = [(r.sequence, *known[r.event].split(" "), r.event, r.previous, r.hash) for r in left]
        db.execute("DELETE FROM lineage")
        db.executemany("INSERT INTO lineage VALUES (?, ?, ?, ?, ?, ?)", rows)
    db.execute("COMMIT")


def _exchange(lab: Lab, deed: Tampering, plan: Tampered) -> None:
    """Put another version's file in a version's place; where that is declared, digest and signature with it."""
    paths = {v.version: _path(lab, v) for v in all_versions(lab) if v.model == plan.model}
    place = paths[plan.version]
    source = next((p for p in paths.values() if p and file_sha256(p) == plan.after_sha256), None)
    if place is None or source is None:
        raise _nothing(deed, "no file of that version, or of the other one, in the artifact store")
    if file_sha256(place) != plan.after_sha256:
        write_atomic(place, source.read_bytes())
    if deed.how in ("retag", "resign"):
        with _database(lab.folder.registry / "mlflow.db") as db:
            for tag in DIGEST_TAGS:
                about = (plan.after_sha256, plan.model, plan.version, tag)
                db.execute("UPDATE model_version_tags SET value = ? WHERE name = ? AND version = ? AND key = ?", about)
    if deed.how == "resign" and signing.check(place.parent, lab.folder.keys / "trusted.pem").state != signing.VALID:
        signing.sign(place.parent, lab.folder.keys / "signing.pem")


def _path(lab: Lab, version: VersionFacts) -> Path | None:
    """A version's `model.onnx` in the artifact store; None where there is none."""
    asked = urlencode({"name": version.model, "version": version.version})
    store = FolderStore(lab.folder.registry / "artifacts")
    where = store.path(lab.registry().get(f"/model-versions/get-download-uri?{asked}")["artifact_uri"])
    return None if where is None else model_file(store.folder(where))


def _stored(lab: Lab, version: VersionFacts) -> StoredVersion:
    path = _path(lab, version)
    if path is None:
        return StoredVersion(model=version.model, version=version.version, sha256="", signature="absent")
    state = signing.check(path.parent, lab.folder.keys / "trusted.pem").state
    return StoredVersion(model=version.model, version=version.version, sha256=file_sha256(path), signature=state)


def _way(lab: Lab, model: str) -> Lineage:
    """From a model's champion to the sources."""
    return Lineage.model_validate(lab.control.get(f"/lineage?{urlencode({'model': model, 'alias': 'champion'})}"))


def _jobs(way: Lineage) -> tuple[str, ...]:
    if way.gaps:
        gap = way.gaps[0]
        raise ArchlabError(f"A way back is not whole before anybody tampered: {gap.link}: {gap.missing}.", gap.remedy)
    return tuple(sorted({node.made_by.job for node in way.nodes if node.made_by}))


def _file(lab: Lab) -> Path:
    return lab.folder.root / "tampering.json"


def _report(lab: Lab) -> TamperingReport:
    return TamperingReport.model_validate_json(_file(lab).read_bytes())


def _database(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None, timeout=10))


def _records(db: sqlite3.Connection) -> list[DecisionRecord]:
    rows = db.execute("SELECT record FROM decisions ORDER BY sequence")
    return [DecisionRecord.model_validate_json(record) for (record,) in rows]


def _events(db: sqlite3.Connection) -> list[LineageRecord]:
    rows = db.execute("SELECT sequence, event, previous, hash FROM lineage ORDER BY sequence")
    return [LineageRecord(sequence=s, event=e, previous=p, hash=h) for s, e, p, h in rows]
