"""A small scenario of every kind that can be proven over synthetic evidence, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.grading import blueprints, content
from archlab.grading.proof import checking, solutions
from archlab.grading.proof.checking import Content
from archlab.grading.proof.findings import Finding
from archlab.grading.proof.recording import Solved, Take
from archlab.spec.scenario import Mode
from synthetic import World, declared

QUESTIONS = """\
format: archlab/questions/v1
questions:
  - id: cores
    title: What a core costs
    kind: numeric
    text: What does a core cost a day?
    truth: cores
    unit: USD
    tolerance_percent: 2
    points: 10
    minutes: 1
    difficulty: easy
    competencies: [FIN-01]
    domains: [MLA-C02/M4]
    hints:
      - {text: A day has many seconds., cost_percent: 20}
    mistakes:
      - {name: an_hour, misconception: That is an hour.}
    explanation: "{core:.3f} USD a day."
  - id: dear
    title: Dear or cheap
    kind: choice
    text: Are cores dear?
    truth: dear
    points: 10
    minutes: 1
    difficulty: easy
    competencies: [FIN-01]
    domains: [MLA-C02/M4]
    options:
      - {key: cheap, text: They are cheap, misconception: No bargain here.}
      - {key: usual, text: They are as usual, misconception: Not the usual price.}
      - {key: dearest, text: They are dear, misconception: Not as dear as that.}
    explanation: "{core:.3f} USD a day."
  - id: asked-most
    title: Who is asked
    kind: order
    text: Order them by requests of the business, most first.
    truth: asked_most
    points: 10
    minutes: 1
    difficulty: easy
    competencies: [FIN-01]
    domains: [MLA-C02/M4]
    options:
      - {key: flight-time, text: flight-time}
      - {key: delay-recovery, text: delay-recovery}
      - {key: airport-congestion, text: airport-congestion}
    mistakes:
      - {name: replayed, misconception: Those are replayed requests.}
    explanation: "{most} is asked most."
  - id: move
    title: Move it
    kind: state
    text: Move flight-time to batch for a day.
    truth: move
    points: 5
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    mistakes:
      - {name: moved_another, misconception: That is another model.}
    explanation: "It runs in batch."
  - id: forecast
    title: Forecast it
    kind: predict
    text: What will the runs cost?
    truth: forecast
    unit: USD
    tolerance_percent: 5
    points: 5
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    mistakes:
      - {name: as_online, misconception: That is what it costs online.}
    explanation: "{cost:.4f} USD."
"""

TRUTHS = '''\
"""Truths over the last day."""
from archlab.spec.grading import Truth

DAY_S = 86_400


def core_day(evidence):
    return evidence.prices.at("online_cpu", evidence.clock).nanousd * DAY_S / 1e9


def row(day, name):
    return next(s for s in day.models if s.model == name)


def cores(evidence, variant):
    if not evidence.daily:
        return Truth(answer=None, blocked="archlab clock advance 1d")
    return Truth(answer=core_day(evidence), facts={"core": core_day(evidence)})


def dear(evidence, variant):
    if not evidence.daily:
        return Truth(answer=None, blocked="archlab clock advance 1d")
    core = core_day(evidence)
    return Truth(answer="cheap" if core < 1 else "dearest" if core > 1.5 else "usual", facts={"core": core})


def asked_most(evidence, variant):
    if not evidence.daily:
        return Truth(answer=None, blocked="archlab clock advance 1d")
    names = ("flight-time", "delay-recovery", "airport-congestion")
    asked = {n: row(evidence.daily[-1], n).requests * evidence.scenario.model(n).caller.represents for n in names}
    order = sorted(asked, key=lambda n: -asked[n])
    return Truth(answer=order, facts={"most": order[0]})


def move(evidence, variant):
    moved = bool(evidence.daily) and row(evidence.daily[-1], "flight-time").mode == "batch"
    return Truth(answer=moved, saw="flight-time is " + ("" if moved else "not ") + "in batch.", looked_for="batch.")


def forecast(evidence, variant):
    ran = [row(d, "flight-time") for d in evidence.daily if row(d, "flight-time").mode == "batch"]
    if not ran:
        return Truth(answer=None, blocked="archlab set flight-time mode batch")
    cost = (ran[0].used_nanousd + ran[0].idle_nanousd) / 1e9
    return Truth(answer=cost, facts={"cost": cost})
'''

MISTAKES = """\
from .truths import core_day, row


def an_hour(evidence, variant):
    return core_day(evidence) / 24


def replayed(evidence, variant):
    day = evidence.daily[-1]
    return sorted(("flight-time", "delay-recovery", "airport-congestion"), key=lambda n: -row(day, n).requests)


def moved_another(evidence, variant):
    return any(s.mode == "batch" and s.model == "airport-congestion" for d in evidence.daily for s in d.models)


def as_online(evidence, variant):
    model = evidence.scenario.model("flight-time")
    return model.replicas * model.cpu_millicores / 1000 * core_day(evidence)
"""

SOLUTIONS = """\
PREPARE = ("archlab clock advance 1d",)


def cores(evidence, variant):
    price = [p for p in evidence.prices.prices if p.resource == "online_cpu"][-1]
    return 24 * 3600 * 1000 * price.nanousd / price.per / 1e9


def dear(evidence, variant):
    return {9800: "cheap", 13900: "usual", 19500: "dearest"}[variant.chosen["online-price"]]


def asked_most(evidence, variant):
    asked = []
    for score in evidence.daily[-1].models:
        if score.model in ("flight-time", "delay-recovery", "airport-congestion"):
            asked.append((score.requests * evidence.scenario.model(score.model).caller.represents, score.model))
    return [name for _, name in sorted(asked, reverse=True)]


def move(evidence, variant):
    yield "archlab set flight-time mode batch"
    yield "archlab clock advance 1d"


def moved_another(evidence, variant):
    yield "archlab set airport-congestion mode batch"
    yield "archlab clock advance 1d"


def forecast(evidence, variant):
    model = evidence.scenario.model("flight-time")
    price = {p.resource.value: p.nanousd / p.per / 1e9 for p in evidence.prices.prices}
    asked = [s for s in evidence.daily[-1].models if s.model == "flight-time"][0].requests
    runs = model.batch_cpu_millicore_seconds * price["batch_cpu"]
    answer = runs + asked * model.caller.represents * price["lookup"]
    yield f"archlab answer forecast {answer}"
    yield "archlab set flight-time mode batch"
    yield "archlab clock advance 1d"
    return answer
"""

FILES = {
    "questions.yaml": QUESTIONS,
    "truths.py": TRUTHS,
    "mistakes.py": MISTAKES,
    "solution/solutions.py": SOLUTIONS,
    "README.md": "# A brief\n\nLook around.\n",
}

Prove = Callable[..., list[Finding]]


def take(made: Content, seed: int) -> Take:
    """What a lab of that seed would show: the scripts' evidence is synthetic, their answers are computed."""
    online, batch = World(seed=seed), World(seed=seed, modes={"flight-time": Mode.BATCH})
    other = World(seed=seed, modes={"airport-congestion": Mode.BATCH})
    prepared = online.evidence()
    moved = batch.evidence([online.day(0), batch.day(1)])
    question = made.pack.question("forecast")
    script = made.solutions.script(question)
    answer = None
    if script is not None:
        running = script(prepared, prepared.variant)
        next(running)
        try:
            while True:
                running.send(prepared)
        except StopIteration as end:
            answer = end.value
    return Take(
        seed=seed,
        start=online.evidence(days=[]),
        prepared=prepared,
        solved={"move": Solved(moved), "forecast": Solved(moved, answer)},
        wrong={("move", "moved_another"): other.evidence([online.day(0), other.day(1)])} if seed == 1 else {},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The scenario's folder."""
    for name, text in FILES.items():
        path = tmp_path / "small" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "small"


def read(folder: Path) -> Content:
    """The content of a folder, in the world of the ten models."""
    return Content(
        pack=content.load(folder),
        solutions=solutions.load(folder),
        scenario=declared(),
        blueprints=blueprints.load(),
        brief=(folder / "README.md").read_text(),
    )


@pytest.fixture
def prove(folder: Path) -> Prove:
    """Spoil files, (name, old, new) each, and prove what is left; what was found."""

    def run(*spoilt: tuple[str, str, str]) -> list[Finding]:
        for name, old, new in spoilt:
            text = (folder / name).read_text()
            assert old in text, f"{name} has no {old!r}"
            (folder / name).write_text(text.replace(old, new, 1))
        made = read(folder)
        takes = [take(made, seed) for seed in (1, 2)]
        return checking.prove(made, takes, made.pack.questions, lambda _step, _detail: None, variants=8)

    return run
