"""One way to answer every question, worked out by other means than the truths.

Written against evidence and variant, never against a seed. Plain functions read the log, the registry and what the
seed says; generators yield commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Variant

Script = Generator[str, Evidence, Any]

PREPARE = ("archlab clock advance 1d",)
DATABASE = "$ARCHLAB_HOME/$ARCHLAB_LAB_NAME/control/control.db"


def _promotions(evidence: Evidence) -> list[DecisionRecord]:
    return [d for d in evidence.decisions if d.decision.allow and d.query.action == "promotion/champion"]


def _version(evidence: Evidence, record: DecisionRecord) -> VersionFacts:
    about = record.query.resource
    return next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))


def _odd(evidence: Evidence) -> tuple[DecisionRecord, str]:
    """The first promotion that does not agree with the registry, with the others, or with the calendar."""
    for record in _promotions(evidence):
        if record.query.evidence["version"]["approved_by"] != _version(evidence, record).approved_by:
            return record, "approver"
        if record.query.subject.user != evidence.scenario.learner:
            return record, "asker"
        if record.business_time < evidence.scenario.starts:
            return record, "time"
    raise LookupError("every promotion agrees with the registry")


def what_was_hidden(evidence: Evidence, _variant: Variant) -> str:
    """Hold each promotion against the registry's tags, its neighbours and the calendar."""
    return _odd(evidence)[1]


def what_shows_the_edit(_evidence: Evidence, variant: Variant) -> list[str]:
    """By how far the editor went, and what the heads cover."""
    how, found = str(variant.chosen["edited-how"]), []
    if how != "rewrite":
        found.append("chain")
    if how == "rewrite" and variant.chosen["last-head"]:
        found.append("heads")
    if how != "edit":
        found.append("events")
    if variant.chosen["edited-part"] != "asker":
        found.append("tags")
    return found or ["none"]


def how_much_is_proven(evidence: Evidence, variant: Variant) -> int:
    """All up to the first head; of the rest what lies between the edited record and a head that still fits."""
    first, edited, length = int(variant.chosen["first-head"]), _odd(evidence)[0].sequence, 10
    if variant.chosen["last-head"] and variant.chosen["edited-how"] != "rewrite":
        return first + length - edited
    return first


def answers_in_doubt(evidence: Evidence, variant: Variant) -> float:
    """Which promotions the proven records leave out, weighed by what each request stands for."""
    first, edited = int(variant.chosen["first-head"]), _odd(evidence)[0].sequence
    reached = bool(variant.chosen["last-head"]) and variant.chosen["edited-how"] != "rewrite"
    proven = set(range(1, first + 1)) | (set(range(edited + 1, 11)) if reached else set())
    newest = {d.query.resource.name: d.sequence for d in _promotions(evidence) if d.sequence <= 10}
    weights = {
        s.model: s.requests * evidence.scenario.model(s.model).caller.represents for s in evidence.daily[-1].models
    }
    return 100 * sum(w for model, w in weights.items() if newest[model] not in proven) / sum(weights.values())


def what_may_be_claimed(evidence: Evidence, variant: Variant) -> str:
    """The pack is silent when a chain or a head is broken; who asked is in the registry, beside who approved."""
    silent = variant.chosen["edited-how"] != "rewrite" or bool(variant.chosen["last-head"])
    version = _version(evidence, _odd(evidence)[0])
    kept = version.tags["archlab.requested_by"] != version.approved_by
    return f"{'silent' if silent else 'operated'}-{'kept' if kept else 'broken'}"


def what_shows_the_file(_evidence: Evidence, variant: Variant) -> list[str]:
    """By what else was made to fit, and by whether the version was ever decided on."""
    found = ["bill"]
    if variant.chosen["exchanged-how"] == "exchange":
        found.append("tag")
    if variant.chosen["exchanged-how"] != "resign":
        found.append("signature")
    if variant.chosen["exchanged-file"] != "delay-3":
        found.append("decision")
    return found


def what_still_moves(evidence: Evidence, variant: Variant) -> Script:
    """A version whose file is not the registered one does not pass; the way back leads to the champion of before."""
    passed = {"": ["forward", "back"], "delay-2": ["forward"], "delay-3": ["back"]}[
        str(variant.chosen["exchanged-file"])
    ]
    newest = next(v for v in evidence.versions if v.tags.get("archlab.candidate") == "delay-3")
    yield f"archlab answer what-still-moves {','.join(passed)}"
    yield f"archlab promote departure-delay {newest.version} || true"
    yield "archlab rollback departure-delay || true"
    return passed


def who_has_to_stop(evidence: Evidence, _variant: Variant) -> list[str]:
    """Champions whose tags name the same person twice; the registry was not changed in that."""
    live = [v for v in evidence.versions if "champion" in v.aliases]
    return [v.model for v in live if v.tags["archlab.requested_by"] == v.approved_by] or ["none"]


def whose_way_is_broken(evidence: Evidence, _variant: Variant) -> Script:
    """Ask for each champion's way back, and look for a thing that no run made."""
    for model in evidence.scenario.models:
        evidence = yield f"archlab lineage {model.name}@champion || true"
    assert evidence.custody is not None
    unmade = {m: [g for g in gaps if "-> the run that made it" in g] for m, gaps in evidence.custody.gaps.items()}
    return [model for model, gaps in unmade.items() if gaps] or ["none"]


def removed_or_never(_evidence: Evidence, variant: Variant) -> str:
    """Only a hole in the numbers shows that something was there."""
    return "removed" if variant.chosen["missing-how"] == "drop" else "unknown"


def how_often(evidence: Evidence, _variant: Variant) -> float:
    """Try every interval from a minute to a year by its cost, and take the cheapest."""
    knobs = {name: float(value) for name, value in evidence.scenario.knobs.items()}

    def cost(hours: float) -> float:
        again = hours / 2 * knobs["changes-per-day"] / 24 * knobs["recheck-usd"]
        return 8760 / hours * knobs["anchor-usd"] + knobs["incidents-per-year"] * again

    return min((minutes / 20 for minutes in range(20, 20 * 8760)), key=cost)


def provable_again(evidence: Evidence, variant: Variant) -> Script:
    """Away from the exchanged file if it answers; back to the version whose approval is beyond doubt. The log stays."""
    if variant.chosen["exchanged-file"] == "delay-2":
        yield "archlab promote departure-delay 1"
    model = _odd(evidence)[0].query.resource.name
    yield f"archlab promote {model} 1"


def put_back(evidence: Evidence, variant: Variant) -> Script:
    """Writes into the database what the record was, so that all looks as before."""
    yield from provable_again(evidence, variant)
    assert evidence.custody is not None
    record = next(d.before for d in evidence.custody.report.done if d.before)
    text = record.model_dump_json().encode().hex()
    update = f"UPDATE decisions SET record = CAST(X'{text}' AS TEXT) WHERE sequence = {record.sequence}"  # noqa: S608
    yield f'python -c "import sqlite3; sqlite3.connect(\'{DATABASE}\').executescript(\\"{update}\\")"'


def file_only(evidence: Evidence, variant: Variant) -> Script:
    """Sees to the file, and leaves the edited record's model as it is."""
    yield "archlab reset"
    whole = next(v for v in evidence.versions if v.tags.get("archlab.candidate") == "delay-3")
    yield f"archlab promote departure-delay {1 if variant.chosen['exchanged-file'] else whole.version}"
