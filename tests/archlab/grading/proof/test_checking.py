"""A sound scenario has no findings; each way of spoiling it is found, and the finding names question and cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.archlab.grading.proof.conftest import read, take

from archlab.grading.proof import checking
from archlab.grading.proof.checking import Content
from archlab.grading.proof.findings import Check, Finding
from archlab.grading.proof.recording import Take
from archlab.plan.resolve import resolve
from synthetic import declared

Prove = Callable[..., list[Finding]]


def test_a_sound_scenario_has_no_findings(prove: Prove) -> None:
    assert prove() == []


@pytest.mark.parametrize(
    ("file", "old", "new", "question", "check", "found"),
    [
        ("truths.py", "DAY_S = 86_400", "DAY_S = 43_200", "cores", Check.SOLUTION, "the truth says"),
        ("truths.py", "core > 1.5", "core > 15", "dear", Check.SOLUTION, "incorrect for dearest; the truth says usual"),
        ("truths.py", "-asked[n]", "asked[n]", "asked-most", Check.SOLUTION, "the truth says"),
        (
            "truths.py",
            'mode == "batch"\n    return',
            'mode == "never"\n    return',
            "move",
            Check.SOLUTION,
            "incorrect",
        ),
        ("truths.py", "cost = (ran[0]", "cost = 2 * (ran[0]", "forecast", Check.SOLUTION, "the truth says"),
        ("truths.py", "core = core_day(evidence)", "core = 1 / 0", "dear", Check.SOLUTION, "ZeroDivisionError"),
        ("solution/solutions.py", "24 * 3600", "23 * 3600", "cores", Check.SOLUTION, "the truth says"),
        (
            "solution/solutions.py",
            'return {9800: "cheap"',
            'return {9800: "usual"',
            "dear",
            Check.SOLUTION,
            "the truth",
        ),
        ("solution/solutions.py", "reverse=True", "reverse=False", "asked-most", Check.SOLUTION, "the truth says"),
        (
            "solution/solutions.py",
            "answer = runs +",
            "answer = 3 * runs +",
            "forecast",
            Check.SOLUTION,
            "the truth says",
        ),
        ("solution/solutions.py", "def cores", "def core", "cores", Check.SOLUTION, "none"),
        (
            "solution/solutions.py",
            "return 24",
            "raise KeyError(24)\n    return 24",
            "cores",
            Check.SOLUTION,
            "raises KeyError",
        ),
        (
            "truths.py",
            "moved = bool(evidence.daily) and",
            "moved = not evidence.daily or",
            "move",
            Check.UNTOUCHED,
            "full",
        ),
        ("truths.py", "if not ran:", "if False:", "forecast", Check.UNTOUCHED, "IndexError"),
        ("mistakes.py", "/ 24", "/ 1", "cores", Check.MISTAKE, "is correct"),
        (
            "mistakes.py",
            "return core_day(evidence) / 24",
            "return None",
            "cores",
            Check.MISTAKE,
            "never leads to an answer",
        ),
        ("mistakes.py", "return core_day(evidence) / 24", "return 'dear'", "cores", Check.MISTAKE, "no answer to this"),
        ("mistakes.py", "return core_day(evidence) / 24", "return 1 / 0", "cores", Check.MISTAKE, "ZeroDivisionError"),
        ("mistakes.py", 's.model == "airport-congestion"', "False", "move", Check.MISTAKE, "incorrect: Looked for"),
        (
            "mistakes.py",
            's.model == "airport-congestion"',
            "True",
            "move",
            Check.MISTAKE,
            "sees the misconception there",
        ),
        ("mistakes.py", "return any(", "raise KeyError(", "move", Check.MISTAKE, "KeyError"),
        (
            "questions.yaml",
            "      - {name: an_hour, misconception: That is an hour.}",
            "      []",
            "cores",
            Check.MISTAKE,
            "none",
        ),
        ("questions.yaml", ", misconception: No bargain here.", "", "dear", Check.MISTAKE, "none, and it is wrong"),
        ("truths.py", "return evidence.prices.at(", "return 13900 * DAY_S / 1e9 or (", "cores", Check.SEEDS, "1.20096"),
        ("questions.yaml", "domains: [MLA-C02/M4]", "domains: [MLA-C02/M9]", "cores", Check.MAPPING, "MLA-C02/M9"),
        ("questions.yaml", "domains: [MLA-C02/M4]", "domains: []", "cores", Check.MAPPING, "none"),
        ("questions.yaml", "competencies: [FIN-01]", "competencies: [FUN-01]", "cores", Check.MAPPING, "FUN-01"),
        ("questions.yaml", "competencies: [FIN-01]", "competencies: []", "cores", Check.MAPPING, "none"),
        ("questions.yaml", "{core:.3f} USD a day.", "{cores:.3f} USD a day.", "cores", Check.EXPLANATION, "gives none"),
        ("questions.yaml", "{most} is", "{most:.2f} is", "asked-most", Check.EXPLANATION, "format code 'f'"),
        ("questions.yaml", "has many seconds", "costs 1.201 USD", "cores", Check.TEXTS, "1.201"),
        (
            "questions.yaml",
            "core cost a day",
            "core, 847 millidollars or 0.847 USD, cost",
            "cores",
            Check.TEXTS,
            "0.847",
        ),
        ("README.md", "Look around", "A core costs 1.685 a day", "cores", Check.TEXTS, "1.685"),
    ],
)
def test_what_is_spoilt_is_found(
    prove: Prove, file: str, old: str, new: str, question: str, check: Check, found: str
) -> None:
    findings = [f for f in prove((file, old, new)) if (f.question, f.check) == (question, check)]
    assert findings
    assert any(found in f.found for f in findings), findings
    assert all(f.expected for f in findings)


def test_an_answer_that_most_variants_share_is_found(prove: Prove) -> None:
    same = ('"cheap" if core < 1 else "dearest" if core > 1.5 else "usual"', '"usual"')
    told = (
        'return {9800: "cheap", 13900: "usual", 19500: "dearest"}[variant.chosen["online-price"]]',
        'return "usual"',
    )
    findings = prove(("truths.py", *same), ("solution/solutions.py", *told))
    assert [f.found for f in findings if f.check is Check.SEEDS] == ["usual"]


def test_a_text_that_orders_the_options_rightly_is_found(prove: Prove) -> None:
    told = "Order them by requests of the business, flight-time, then airport-congestion, then delay-recovery."
    spoilt = ("questions.yaml", "Order them by requests of the business, most first.", told)
    always = (
        "truths.py",
        "order = sorted(asked, key=lambda n: -asked[n])",
        'order = ["flight-time", *sorted(names)[:2]]',
    )
    findings = [f for f in prove(spoilt, always) if f.check is Check.TEXTS]
    assert findings
    assert "flight-time" in findings[0].found


def _with_experiment(made: Content, seed: int) -> Take:
    """A take in which the seed's own unit was stopped; the version of the code stands for what was seen."""
    whole = take(made, seed)
    solved = whole.solved["forecast"]
    unit = str(solved.evidence.scenario.knobs["outage"])
    seen = replace(solved, evidence=solved.evidence.model_copy(update={"code_version": unit}))
    return replace(whole, solved={**whole.solved, "forecast": seen})


@pytest.mark.parametrize(("seeds", "found"), [((1, 4), []), ((1, 2), [Check.SEEDS])])
def test_a_variant_is_judged_by_the_lab_whose_experiment_was_its_own(
    folder: Path, seeds: tuple[int, int], found: list[Check]
) -> None:
    """Seeds 1 and 4 stop different units; of labs that stopped the same one, nothing differs."""
    by_unit = '{"registry": 1.0, "control": 2.0}[str(evidence.scenario.knobs["outage"])]'
    for name, old, new in (
        ("truths.py", "if not ran:", 'if not ran or evidence.code_version != evidence.scenario.knobs["outage"]:'),
        ("truths.py", "cost = (ran[0].used_nanousd + ran[0].idle_nanousd) / 1e9", f"cost = {by_unit}"),
        ("solution/solutions.py", "answer = runs + asked", f"answer = {by_unit} + 0 * asked"),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    made = read(folder)
    takes = [_with_experiment(made, seed) for seed in seeds]
    asked = [made.pack.question("forecast")]
    findings = checking.prove(made, takes, asked, lambda _step, _detail: None, variants=8)
    assert [f.check for f in findings if f.question] == found


def test_over_the_usual_seeds_every_choice_differs() -> None:
    seeds = checking.apart(declared())
    chosen = [resolve(declared(), seed)[1].chosen for seed in range(1, 25)]
    for name in chosen[0]:
        everywhere = {str(variant[name]) for variant in chosen}
        assert (len({str(chosen[s - 1][name]) for s in seeds}) > 1) == (len(everywhere) > 1)
    pairs = [sum(a[name] != b[name] for name in a) for a in chosen for b in chosen]
    assert sum(chosen[seeds[0] - 1][name] != chosen[seeds[1] - 1][name] for name in chosen[0]) == max(pairs)
