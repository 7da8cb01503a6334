"""Asking a model as its callers do, in the Open Inference Protocol."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from archlab.errors import NotFoundError, UserError
from archlab.lab.lab import Lab
from archlab.lab.work import clock
from archlab.spec.business import Ask, ModelCard


def request_body(ask: Ask) -> dict[str, Any]:
    """The request for one question: keys as BYTES, columns as FP32, shape [1]."""
    keys = [{"name": k, "datatype": "BYTES", "shape": [1], "data": [v]} for k, v in ask.keys.items()]
    columns = [{"name": k, "datatype": "FP32", "shape": [1], "data": [v]} for k, v in ask.columns.items()]
    return {"id": f"{ask.subject}", "inputs": keys + columns}


def example(lab: Lab, model: str, values: list[str]) -> dict[str, Any]:
    """A request about the next real subject on the clock, with NAME=VALUE changes.

    Raises:
        NotFoundError: no such model, or nothing is asked in the next two days.
        UserError: a value that is not NAME=VALUE, or names nothing the model knows.
    """
    cards = lab.business.cards
    if model not in cards:
        raise NotFoundError(f"There is no model {model!r}.", f"Models: {', '.join(cards)}.")
    return request_body(changed(_next(lab, model), cards[model], values))


def ask(lab: Lab, model: str, body: dict[str, Any], version: str | None = None) -> dict[str, Any]:
    """Send it through the gateway; the answer's JSON."""
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
    answer: dict[str, Any] = lab.client().post(path, body)
    return answer


def _next(lab: Lab, model: str) -> Ask:
    from archlab.pipelines.data import ensure

    now = clock(lab)
    caller = lab.scenario.model(model).caller
    data = ensure(lab.folder.cache, lab.declared.business)
    asks = lab.business.asks(data, model, caller, now, now + timedelta(days=2))
    if not asks:
        raise NotFoundError(
            f"Nobody asks {model} in the two days after {now:%Y-%m-%d %H:%M}Z.", "Bring NAME=VALUE yourself."
        )
    return asks[0]


def changed(ask: Ask, card: ModelCard, values: list[str]) -> Ask:
    """The question with NAME=VALUE put in.

    Raises:
        UserError: a value that is not NAME=VALUE, or names nothing the model knows.
    """
    keys, columns = dict(ask.keys), dict(ask.columns)
    names = {c.name for c in card.columns}
    for item in values:
        name, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"{item!r} is not NAME=VALUE.", "For example: origin=JFK")
        if name in card.keys:
            keys[name] = value
        elif name in names:
            try:
                columns[name] = float(value)
            except ValueError:
                raise UserError(f"{name} is a number; {value!r} is not.", f"For example: {name}=12") from None
        else:
            raise UserError(
                f"{card.name} knows no input {name!r}.",
                f"Keys: {', '.join(card.keys)}; columns: {', '.join(sorted(names))}.",
            )
    return ask.model_copy(update={"keys": keys, "columns": columns})
