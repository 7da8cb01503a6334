"""What an engine's raw answer becomes: a `Decision`, never anything that allows by accident."""

from __future__ import annotations

from typing import Any

from archlab.spec.policy import Decision, ExceptionUse, Reason


def decision_from(value: Any, *, engine: str, bundle_digest: str) -> Decision:
    """The value of `data.archlab.decision` as a Decision; allows only on a literal true without reasons.

    Raises:
        pydantic.ValidationError, TypeError, KeyError: the value is not a decision.
    """
    if value is None:
        return denial("undecided", "The rules came to no decision.", engine=engine, bundle_digest=bundle_digest)
    found = tuple(Reason.model_validate(reason) for reason in value["reasons"])
    reasons = tuple(sorted(found, key=lambda reason: (reason.rule, reason.code, reason.message)))
    allow = value["allow"] is True and not reasons
    obligations = tuple(str(obligation) for obligation in value["obligations"])
    used = (ExceptionUse.model_validate(exception) for exception in value.get("exceptions", ()))
    return Decision(
        allow=allow,
        reasons=reasons,
        obligations=obligations,
        engine=engine,
        bundle_digest=bundle_digest,
        exceptions=tuple(sorted(used, key=lambda use: (use.rule, use.id, use.until, use.granted_by, use.owner))),
    )


def denial(code: str, message: str, *, engine: str, bundle_digest: str, rule: str = "archlab/engine") -> Decision:
    """No, for a reason that is not a rule's."""
    return Decision(
        allow=False,
        reasons=(Reason(rule=rule, code=code, message=message),),
        engine=engine,
        bundle_digest=bundle_digest,
    )
