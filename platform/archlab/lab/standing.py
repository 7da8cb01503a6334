"""Deprecating, reinstating and retiring: plain registry calls, so that the gate decides; read from the decision log."""

from __future__ import annotations

from archlab.lab.lab import Lab
from archlab.policy.lifecycle import notice, state_of
from archlab.registry.evidence import RETIRED, SUNSET
from archlab.spec.policy import Standing


def deprecate(lab: Lab, model: str, version: str | None, *, sunset: str, user: str | None = None) -> Standing:
    """Announce the end of a version, or of a model as a whole.

    Args:
        lab: of the model.
        model: its name.
        version: None for the model as a whole.
        sunset: a date, counted to its end in UTC, or a time as ISO 8601; business time.
        user: None for the learner.

    Raises:
        RefusedError: a rule said no; the message carries every reason.
    """
    _set(lab, model, version, SUNSET, sunset, user)
    return _now(lab, model, version)


def retire(lab: Lab, model: str, version: str | None, *, reason: str, user: str | None = None) -> Standing:
    """Take a version, or a model as a whole, out of service for good.

    Raises:
        RefusedError: a rule said no; the message carries every reason.
    """
    _set(lab, model, version, RETIRED, reason, user)
    return _now(lab, model, version)


def reinstate(lab: Lab, model: str, version: str | None, *, user: str | None = None) -> None:
    """Take a deprecation back.

    Raises:
        NotFoundError: it is not deprecated.
        RefusedError: a rule said no; the message carries every reason.
    """
    path, body = _named(model, version)
    lab.registry(user).request("DELETE", f"{path}/delete-tag", {**body, "key": SUNSET})
    lab.control.post("/releases/reconcile", {})


def standings(lab: Lab) -> tuple[Standing, ...]:
    """What is deprecated or retired, of every model."""
    return tuple(Standing.model_validate(found) for found in lab.control.get("/lifecycle"))


def told(found: tuple[Standing, ...], model: str, version: str, otherwise: str) -> str:
    """A version's state for people: retired, deprecated until when, or what its aliases say. Pure."""
    of_model = [s for s in found if s.model == model]
    if state_of(of_model, version) == "retired":
        return "retired"
    if ends := notice(of_model, model, version):
        return f"{otherwise}, deprecated until {ends.sunset:%Y-%m-%d %H:%M}Z".removeprefix(", ")
    return otherwise


def _set(lab: Lab, model: str, version: str | None, key: str, value: str, user: str | None) -> None:
    path, body = _named(model, version)
    lab.registry(user).post(f"{path}/set-tag", {**body, "key": key, "value": value})
    lab.control.post("/releases/reconcile", {})


def _now(lab: Lab, model: str, version: str | None) -> Standing:
    return next(s for s in reversed(standings(lab)) if (s.model, s.version) == (model, version or ""))


def _named(model: str, version: str | None) -> tuple[str, dict[str, str]]:
    return (
        ("/model-versions", {"name": model, "version": version}) if version else ("/registered-models", {"name": model})
    )
