"""Questions, evidence, truths, verdicts. Grading reads evidence, never the lab."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .airline import Scoreboard
from .base import Slug, Spec, UtcTime
from .comparison import Comparison
from .experiments import Calibration, DesignTask, DesignTrial, Sweep
from .money import Line, PriceBook
from .outages import Outage
from .plan import Plan
from .policy import DecisionRecord
from .region_facts import RegionFacts
from .release import Release
from .scenario import Overrides, Scenario, Variant
from .tampering import Custody

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""Name of a function of a scenario's content."""


class VersionFacts(Spec):
    """One registered model version as the registry shows it."""

    model: str
    version: str
    aliases: tuple[str, ...]
    author: str
    approved_by: str
    metrics: dict[str, float]
    tags: dict[str, str]
    run_id: str = ""
    """Of the run that it was registered from."""


class BatchRun(Spec):
    """One finished batch job."""

    id: str
    model: str
    version: str
    business_time: UtcTime
    rows: int
    path: str


class RuleTrial(Spec):
    """A submitted policy rule and what the engine made of it, kept with the attempt so that it can be judged again."""

    question: Slug
    text: str
    refused: str = ""
    """Why it was not run (unreadable, a fault, too large); empty when it was."""
    engines: tuple[str, ...] = ()
    results: dict[str, Literal["allow", "deny", "error"]] = {}
    """By the digest of the hidden input. Engines that disagree are an `error`."""


class Evidence(Spec):
    """A versioned, immutable picture of one lab: enough to grade with the lab gone."""

    format: Literal["archlab/evidence/v1"] = "archlab/evidence/v1"
    lab: str
    taken: UtcTime
    code_version: str
    scenario: Scenario
    """As resolved: variant and overrides applied."""
    variant: Variant
    overrides: Overrides
    plan: Plan
    prices: PriceBook
    clock: UtcTime
    scoreboard: Scoreboard
    daily: tuple[Scoreboard, ...]
    """One per finished business day."""
    lines: tuple[Line, ...]
    """Bill lines, summed per day, model, kind and resource (usage_id names the day)."""
    versions: tuple[VersionFacts, ...]
    releases: tuple[Release, ...]
    decisions: tuple[DecisionRecord, ...]
    batch_runs: tuple[BatchRun, ...]
    sweeps: tuple[Sweep, ...] = ()
    """The newest of each name and model that this lab has measured."""
    calibration: Calibration | None = None
    design: DesignTrial | None = None
    """What became of the design that a question of kind design was answered with."""
    comparisons: tuple[Comparison, ...] = ()
    """Of models whose registry has a challenger."""
    outages: tuple[Outage, ...] = ()
    """Oldest first."""
    custody: Custody | None = None
    """Of a lab whose records or files were tampered with."""
    trial: RuleTrial | None = None
    """What a learner submitted to a question of kind rego."""
    regions: RegionFacts | None = None
    """Of a lab in two regions."""


class QuestionKind(StrEnum):
    """How a question is answered."""

    CHOICE = "choice"
    MULTI = "multi"
    NUMERIC = "numeric"
    ORDER = "order"
    PREDICT = "predict"
    STATE = "state"
    DESIGN = "design"
    REGO = "rego"


class RuleCase(Spec):
    """A hidden input of a rego question."""

    category: str
    """What is said of it when a rule fails it; the input itself is not shown."""
    allow: bool
    """What a right rule answers."""
    input: dict[str, Any]


class Hint(Spec):
    """A hint and its price, as a share of the question's points."""

    text: str
    cost_percent: int = Field(ge=0, le=100)
    when: str = ""
    """Name of a function in the scenario's hints.py that says whether this hint fits the state of the lab."""


class Option(Spec):
    """One choice; `misconception` says what choosing it wrongly shows."""

    key: Slug
    text: str
    misconception: str = ""


class Mistake(Spec):
    """A wrong answer that a known misconception leads to, computed for the variant as the right one is."""

    name: Identifier
    """Name of a function in the scenario's mistakes.py."""
    misconception: str
    """What a learner who answers so is told."""


class Question(Spec):
    """One entry of questions.yaml."""

    id: Slug
    title: str
    kind: QuestionKind
    text: str
    truth: str
    """Name of a function in the scenario's truths.py."""
    points: int = Field(gt=0)
    minutes: int = Field(gt=0)
    difficulty: Literal["easy", "medium", "hard"]
    competencies: tuple[str, ...]
    domains: tuple[str, ...]
    """`EXAM/DOMAIN` identifiers."""
    options: tuple[Option, ...] = ()
    """Of choice, multi and order; a forecast either has options (keys that will come true) or is a number."""
    unit: str = ""
    """For numeric and predict: unit of the answer."""
    tolerance_percent: float | None = None
    near_percent: float | None = None
    """For numeric and predict: a near miss within this earns half."""
    design: DesignTask | None = None
    """For design: what is measured, and what it is compared with."""
    rule: str = ""
    """For rego: `AREA/NAME` of the rule that is submitted."""
    cases: str = ""
    """For rego: name of the function in truths.py that makes the hidden inputs."""
    hints: tuple[Hint, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    explanation: str
    """Markdown; `{name}` quotes a figure from the truth's `facts`."""


class Truth(Spec):
    """What a truth function returns."""

    answer: Any
    """choice: key; multi: list of keys; numeric: number; order: list of keys; state: True when reached;
    design: share of the points, 0 to 1; rego: the share that the rule earns, 0 to 1."""
    facts: dict[str, str | int | float] = {}
    """The learner's own figures, for explanations."""
    blocked: str = ""
    """Which step is missing, when the evidence can't decide yet."""
    interval: tuple[float, float] | None = None
    saw: str = ""
    """State questions: what was seen, without saying how to get further."""
    looked_for: str = ""


class Verdict(StrEnum):
    """The outcome of an attempt."""

    CORRECT = "correct"
    PARTIAL = "partial"
    INCORRECT = "incorrect"
    BLOCKED = "blocked"
    INVALID = "invalid"
    PLATFORM_ERROR = "platform_error"
