"""Calls about what is on record: decisions and what follows from them, and lineage."""

from __future__ import annotations

from typing import Any

from archlab.control import ancestry, decisions, lineage
from archlab.control.decisions import Decided
from archlab.control.edge import Call, respond
from archlab.errors import UserError
from archlab.policy import chain, traffic
from archlab.spec.traffic import Traffic


def post_decision(call: Call) -> Any:
    """Append to the decision log."""
    return decisions.append(call.service.store, call.body(Decided), call.service.business_time())


def get_decisions(call: Call) -> Any:
    """The decision log, as far as it is the asker's."""
    with call.service.store.read() as db:
        found = decisions.read(db)
    return found if call.seen.everything else call.seen.records(found)


def get_exceptions(call: Call) -> Any:
    """Exceptions that the log granted, oldest first; `?model=` only that model's."""
    with call.service.store.read() as db:
        return call.seen.of_models(decisions.granted(db, call.query.get("model") or None))


def get_lifecycle(call: Call) -> Any:
    """What the log has deprecated or retired; `?model=` only that model's."""
    with call.service.store.read() as db:
        return call.seen.of_models(decisions.standings(db, call.query.get("model") or None))


def get_traffic(call: Call) -> Any:
    """Who is and was champion, which shares of the callers are allowed, and which the plan has; `?model=`."""
    service, model = call.service, call.query.get("model", "")
    call.seen.require_model(model)
    with service.store.read() as db:
        tenures, shares = decisions.tenures(db, model), decisions.shares(db, model)
    return Traffic(tenures=tuple(tenures), shares=tuple(shares), routed=traffic.routed(service.desired.plan, model))


def verify_decisions(call: Call) -> Any:
    """Whether the chain is whole."""
    with call.service.store.read() as db:
        records = decisions.read(db)
    faults = chain.verify(records)
    return {"records": len(records), "whole": not faults, "faults": faults}


def post_lineage(call: Call) -> Any:
    """Record an OpenLineage run event, or a list of them; what is known already is passed over."""
    events = call.body(lineage.Reported).root
    with call.service.store.write() as db:
        recorded = lineage.append(db, events)
    return respond({"recorded": recorded}, 201)


def get_lineage(call: Call) -> Any:
    """The way back from a model's alias or version, or from a prediction."""
    model, version = call.query.get("model"), call.query.get("version")
    if prediction := call.query.get("prediction"):
        if not model:
            call.seen.require_everything("A prediction of whichever model")
        else:
            call.seen.require_model(model)
        return ancestry.of_prediction(call.service, prediction, model)
    if model:
        call.seen.require_model(model)
    else:
        raise UserError("Lineage is of a model or a prediction.", "GET /lineage?model=…&alias=champion")
    return ancestry.of_model(call.service, model, version, call.query.get("alias", "champion"))


def get_lineage_events(call: Call) -> Any:
    """The log of lineage events, oldest first."""
    call.seen.require_everything("The log of lineage events")
    with call.service.store.read() as db:
        return lineage.read(db)
