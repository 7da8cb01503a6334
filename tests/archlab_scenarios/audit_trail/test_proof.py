"""The questions hold by recorded evidence; solutions broken one by one are each caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading.proof import recording
from archlab.grading.proof.findings import Check
from archlab.grading.proof.recasting import recast
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.policy import chain, forgery
from archlab.spec.grading import Evidence
from archlab_scenarios.audit_trail import consequences, traces
from proofs import broken, proven

FOLDER = scenario_folder("audit-trail")
VARIANTS = 12


def test_all_of_it_holds_by_what_was_recorded() -> None:
    assert proven(FOLDER, variants=VARIANTS) == []


@pytest.mark.parametrize(
    ("question", "old", "new", "check"),
    [
        ("what-was-hidden", 'return record, "asker"', 'return record, "time"', Check.SOLUTION),
        ("what-shows-the-edit", 'if how != "edit":', 'if how == "rewrite":', Check.SOLUTION),
        ("how-much-is-proven", "return first + length - edited", "return length - 1", Check.SOLUTION),
        ("what-may-be-claimed", 'silent = variant.chosen["edited-how"] != "rewrite" or', "silent =", Check.SOLUTION),
        ("what-shows-the-file", '!= "resign":', '== "exchange":', Check.SOLUTION),
        ("removed-or-never", 'return "removed" if', 'return "unreported" if', Check.SOLUTION),
        ("how-often", "again = hours / 2 *", "again = hours *", Check.SOLUTION),
        ("provable-again", 'yield f"archlab promote {model} 1"', "pass", Check.RECORDING),
    ],
)
def test_a_broken_solution_is_caught(tmp_path: Path, question: str, old: str, new: str, check: Check) -> None:
    folder = broken(FOLDER, tmp_path, old, new)
    assert check in {f.check for f in proven(folder, question, variants=VARIANTS)}


def _seen(evidence: Evidence) -> dict[str, object]:
    """What an auditor reads from the log and the registry, without the digests of one lab."""
    return {
        "records": [
            (
                *(r.sequence, r.query.subject.user, r.query.resource.name, r.query.resource.version, r.business_time),
                *(r.query.evidence["version"]["approved_by"], r.decision.allow),
            )
            for r in traces.found(evidence)
        ],
        "faults": chain.verify(traces.found(evidence)),
        "heads": [a.sequence for a in traces.heads(evidence)],
        "proven": traces.still_proven(evidence),
        "edited": (traces.before(evidence).sequence, traces.before(evidence).query.evidence["version"]["approved_by"]),
        "file": traces.done(evidence, traces.FILE).version,
        "retagged": [v.version for v in evidence.versions if _tag_is_after(evidence, v.model, v.version)],
        "ways": traces.report(evidence).ways,
    }


def _tag_is_after(evidence: Evidence, model: str, version: str) -> bool:
    file = traces.done(evidence, traces.FILE)
    facts = next(v for v in evidence.versions if (v.model, v.version) == (model, version))
    return (model, version) == (file.model, file.version) and facts.tags["archlab.sha256"] == file.after_sha256


def test_one_recorded_lab_recast_reads_like_every_other() -> None:
    takes, declared = recording.load(FOLDER), load_scenario(FOLDER / "scenario.yaml")
    assert len(takes) > 1
    for one in takes:
        for other in takes:
            assert _seen(recast(one.start, *resolve(declared, other.seed))) == _seen(other.start)


def test_an_auditor_who_mends_the_log_has_not_left_it_as_it_was_found() -> None:
    mended = []
    for take in recording.load(FOLDER):
        assert consequences.log_as_found(take.start)
        whole, put_back = forgery.relinked(take.start.decisions), traces.written(take.start)
        mended += [(take, log) for log in (whole, put_back) if log != traces.found(take.start)]
        mended.append((take, traces.found(take.start)[:-1]))
    assert any(chain.verify(traces.found(take.start)) and not chain.verify(log) for take, log in mended)
    for take, log in mended:
        assert not consequences.log_as_found(take.start.model_copy(update={"decisions": tuple(log)}))


def test_what_was_done_is_what_an_auditor_finds() -> None:
    for take in recording.load(FOLDER):
        evidence = take.start
        assert evidence.custody is not None
        assert list(evidence.custody.decision_faults) == chain.verify(traces.found(evidence))
        file, stored = traces.done(evidence, traces.FILE), {(s.model, s.version): s for s in evidence.custody.stored}
        assert stored[file.model, file.version].sha256 == file.after_sha256 != file.before_sha256
        signed = traces.declared(evidence, traces.FILE).how == "resign"
        assert (stored[file.model, file.version].signature == "valid") is signed
        job = traces.declared(evidence, traces.LINK).job
        for model, jobs in traces.report(evidence).ways.items():
            unmade = any("-> the run that made it" in gap for gap in evidence.custody.gaps[model])
            assert unmade is (job in jobs)
