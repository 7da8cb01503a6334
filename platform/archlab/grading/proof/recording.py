"""What labs of some seeds showed while the reference solutions were carried out: kept, so that a proof needs no lab."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from archlab.errors import NotFoundError, SpecError, UserError
from archlab.files import write_model
from archlab.grading.content import Pack
from archlab.grading.proof.findings import Check, Finding
from archlab.grading.proof.solutions import Solutions
from archlab.grading.store import EvidenceStore
from archlab.spec.base import Sha256, Slug, Spec
from archlab.spec.grading import Evidence, Question

FOLDER = Path("solution") / "recorded"
_AGAIN = "Record it again, with --record."


@dataclass(frozen=True, slots=True)
class Solved:
    """A lab after a question's script, and what the script answered."""

    evidence: Evidence
    answer: Any = None
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Take:
    """One seed's lab: untouched, prepared, and after each script."""

    seed: int
    start: Evidence
    prepared: Evidence
    solved: Mapping[str, Solved] = field(default_factory=dict)
    """By question."""
    wrong: Mapping[tuple[str, str], Evidence] = field(default_factory=dict)
    """By question and mistake."""

    def judged_by(self, question: Question) -> Evidence:
        """The evidence by which a question is judged: after its script, or as prepared."""
        solved = self.solved.get(question.id)
        return solved.evidence if solved else self.prepared


class _Scene(Spec):
    evidence: Sha256
    answer: Any = None
    commands: tuple[str, ...] = ()


class _Seed(Spec):
    seed: int
    start: Sha256
    prepared: Sha256
    solved: dict[Slug, _Scene] = {}
    wrong: dict[Slug, dict[str, Sha256]] = {}


class _Index(Spec):
    """`index.json`; evidence lies beside it, addressed by its digest."""

    format: Literal["archlab/recording/v1"] = "archlab/recording/v1"
    scenario: Sha256
    """Of scenario.yaml."""
    scripts: dict[Slug, Sha256]
    """Of each question's scripts."""
    seeds: tuple[_Seed, ...]


def save(pack: Pack, solutions: Solutions, takes: tuple[Take, ...]) -> Path:
    """Keep what was recorded in the scenario's folder, instead of what was there; the folder."""
    folder = pack.folder / FOLDER
    store = EvidenceStore(folder)
    index = _Index(scenario=_digest(pack.folder), scripts=_scripts(pack, solutions), seeds=_kept(store, takes))
    write_model(folder / "index.json", index)
    wanted = {store.path(sha256) for seed in index.seeds for sha256 in _named(seed)}
    for path in set(folder.glob("*.json.gz")) - wanted:
        path.unlink()
    return folder


def load(folder: Path) -> tuple[Take, ...]:
    """What was recorded for a scenario.

    Raises:
        NotFoundError: nothing was.
        SpecError: the recording is damaged.
    """
    store, index = EvidenceStore(folder / FOLDER), _index(folder)
    try:
        return tuple(_take(store, seed) for seed in index.seeds)
    except UserError as error:
        raise SpecError(error.message, _AGAIN) from None


def seeds(folder: Path) -> tuple[int, ...]:
    """Of which seeds labs were recorded.

    Raises:
        NotFoundError: nothing was.
        SpecError: the recording is damaged.
    """
    return tuple(seed.seed for seed in _index(folder).seeds)


def _index(folder: Path) -> _Index:
    path = folder / FOLDER / "index.json"
    name = folder.name.replace("_", "-")
    try:
        return _Index.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        again = f"Record it on live labs: archlab scenarios check {name} --record"
        raise NotFoundError(f"Scenario {name} has no recorded evidence.", again) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SpecError(f"{path} can't be read: {place}: {first['msg']}.", _AGAIN) from None


def stale(pack: Pack, solutions: Solutions) -> list[Finding]:
    """What has changed since it was recorded, so that the recording proves nothing of it any more."""
    index = _index(pack.folder)
    now = "record again: archlab scenarios check --record"
    found = []
    if index.scenario != _digest(pack.folder):
        found.append(
            Finding("", Check.RECORDING, f"evidence of this scenario.yaml ({now})", "scenario.yaml has changed")
        )
    for question, digest in _scripts(pack, solutions).items():
        if index.scripts.get(question) != digest:
            what = "its script in solutions.py has changed" if question in index.scripts else "its script was never run"
            found.append(Finding(question, Check.RECORDING, f"evidence of this script ({now})", what))
    return found


def _scripts(pack: Pack, solutions: Solutions) -> dict[str, str]:
    return {q.id: solutions.digest(q) for q in pack.questions if solutions.scripts(q)}


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "scenario.yaml").read_bytes()).hexdigest()


def _kept(store: EvidenceStore, takes: tuple[Take, ...]) -> tuple[_Seed, ...]:
    return tuple(
        _Seed(
            seed=take.seed,
            start=store.put(take.start),
            prepared=store.put(take.prepared),
            solved={q: _scene(store, s) for q, s in sorted(take.solved.items())},
            wrong={
                q: {m: store.put(e) for (asked, m), e in sorted(take.wrong.items()) if asked == q}
                for q in sorted({asked for asked, _ in take.wrong})
            },
        )
        for take in takes
    )


def _scene(store: EvidenceStore, solved: Solved) -> _Scene:
    return _Scene(evidence=store.put(solved.evidence), answer=solved.answer, commands=solved.commands)


def _named(seed: _Seed) -> set[str]:
    wrong = {sha256 for mistakes in seed.wrong.values() for sha256 in mistakes.values()}
    return {seed.start, seed.prepared, *(s.evidence for s in seed.solved.values()), *wrong}


def _take(store: EvidenceStore, seed: _Seed) -> Take:
    return Take(
        seed=seed.seed,
        start=store.get(seed.start),
        prepared=store.get(seed.prepared),
        solved={q: Solved(store.get(s.evidence), s.answer, s.commands) for q, s in seed.solved.items()},
        wrong={(q, m): store.get(sha256) for q, ms in seed.wrong.items() for m, sha256 in ms.items()},
    )
