"""Questions that are answered by a policy rule: hidden inputs from the variant, decided by the engines, judged here.

Partial points: from the share of hidden inputs that are decided rightly, what a rule that always says no would get is
taken off, and likewise for one that always says yes; so neither of the two earns anything. An input on which the rule
fails with an error, or on which two engines disagree, is not decided rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlab.grading.answers import MAX_RULE_BYTES, InvalidAnswerError
from archlab.grading.canonical import digest
from archlab.spec.grading import Evidence, Question, QuestionKind, RuleCase, RuleTrial, Truth
from archlab.spec.scenario import Variant

if TYPE_CHECKING:
    from archlab.grading.content import Pack

Cases = Callable[[Evidence, Variant], Sequence[RuleCase]]
"""Pure: the hidden inputs of a variant."""


def file_of(lab: Path, question: Question) -> Path:
    """Where a quiz looks for the rule that answers a question."""
    return lab / "answers" / f"{question.id}.rego"


def read(path: Path) -> str:
    """A submitted file's text.

    Raises:
        InvalidAnswerError: it is not there, too large, or not text.
    """
    try:
        if (size := path.stat().st_size) > MAX_RULE_BYTES:
            raise InvalidAnswerError(f"{path} has {size} bytes; at most {MAX_RULE_BYTES} are read.", "Shorten it.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidAnswerError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise InvalidAnswerError(f"{path} can't be read: {error.strerror}.", "Write your rule to that file.") from None


def with_trial(pack: Pack, question: Question, value: Any, evidence: Evidence) -> Evidence:
    """The evidence with what became of a submitted rule; as it is for other kinds of questions.

    When the hidden inputs can't be made, nothing is run: the truth, which needs them too, then fails and says so.
    """
    if question.kind is not QuestionKind.REGO:
        return evidence
    try:
        cases = pack.cases[question.cases](evidence, evidence.variant)
    except Exception:  # noqa: BLE001 - content may fail in any way; `grade.ask` reports it as ours
        return evidence
    return evidence.model_copy(update={"trial": run(question, value, cases)})


def run(question: Question, text: str, cases: Sequence[RuleCase]) -> RuleTrial:
    """Let the engines decide every hidden input by the submitted rule."""
    from archlab.policy.trial import try_rule

    tried = try_rule(question.rule, text, [case.input for case in cases])
    results = {digest(case.input): said for case, said in zip(cases, tried.said, strict=False)}
    return RuleTrial(question=question.id, text=text, refused=tried.refused, engines=tried.engines, results=results)


def judged(trial: RuleTrial | None, cases: Sequence[RuleCase], facts: Mapping[str, str | int | float]) -> Truth:
    """The truth of a rego question, from the trial in the evidence and the cases as they are made today.

    Inputs that the trial did not run (they were added later) are left out.
    """
    if trial is None:
        return Truth(answer=None, blocked="Hand in a rule: archlab answer ID FILE.rego")
    if trial.refused:
        none = {"passed": 0, "cases": len(cases), "engines": "not run"}
        return Truth(answer=0.0, facts={**facts, **none}, saw=f"The rule was not run. {trial.refused}")
    known = [(case, trial.results[key]) for case in cases if (key := digest(case.input)) in trial.results]
    wrong = [(case, said) for case, said in known if said != ("allow" if case.allow else "deny")]
    share = _share(known, wrong)
    told = {"passed": len(known) - len(wrong), "cases": len(known), "engines": " and ".join(trial.engines)}
    return Truth(answer=share, facts={**facts, **told}, saw=_told(known, wrong, trial.engines))


def _share(known: Sequence[tuple[RuleCase, str]], wrong: Sequence[tuple[RuleCase, str]]) -> float:
    """Right among those that must pass, plus right among those that must not, less one; 1 when all are right."""
    rates = []
    for side in (True, False):
        of_side = sum(case.allow is side for case, _ in known)
        missed = sum(case.allow is side for case, _ in wrong)
        rates.append(1 - missed / of_side if of_side else 1.0)
    return max(0.0, round(sum(rates) - 1, 4))


def _told(known: Sequence[tuple[RuleCase, str]], wrong: Sequence[tuple[RuleCase, str]], engines: Sequence[str]) -> str:
    right = f"{len(known) - len(wrong)} of {len(known)} hidden inputs are decided rightly ({' and '.join(engines)})."
    if not wrong:
        return right
    kinds: dict[str, list[str]] = {}
    for case, said in wrong:
        kinds.setdefault(case.category, []).append({"allow": "let through", "deny": "refused"}.get(said, "an error"))
    listed = "; ".join(f"{kind}: {_counted(said)}" for kind, said in kinds.items())
    return f"{right} Wrongly decided, by kind of input: {listed}."


def _counted(said: Sequence[str]) -> str:
    return ", ".join(f"{said.count(word)} {word}" for word in dict.fromkeys(said))
