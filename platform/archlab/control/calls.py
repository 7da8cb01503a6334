"""Every call of docs/interfaces.md, section Control."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from archlab.control import (
    ancestry,
    batches,
    bill,
    budget,
    clock,
    decisions,
    lineage,
    metrics,
    page,
    repository,
    scores,
    snapshots,
    sync,
    ticks,
)
from archlab.control.batches import Finished
from archlab.control.comparison import comparison
from archlab.control.decisions import Decided
from archlab.control.edge import ANY, OPERATOR, Call, Handler, endpoint, respond
from archlab.control.login import COOKIE, local_path
from archlab.control.snapshots import Materialized
from archlab.errors import ArchlabError, NotFoundError, UserError
from archlab.identity import LIFETIME_S
from archlab.ledger import grouping
from archlab.policy import chain
from archlab.spec.airline import Tick
from archlab.spec.base import Spec, UtcTime
from archlab.spec.money import Basis, Usage

CAUGHT_UP_WITHIN_S = 5.0
"""How long a comparison waits for prediction logs that are not read yet."""


class Lease(Spec):
    """Body of `POST /clock/lease`."""

    until: UtcTime
    pid: int = Field(gt=0)


class Reconcile(Spec):
    """Body of `POST /releases/reconcile`."""

    retire: bool = False


def healthz(_call: Call) -> Any:
    """Alive."""
    return {"status": "ok"}


def get_clock(call: Call) -> Any:
    """Where the clock stands."""
    scenario = call.service.scenario
    with call.service.store.read() as db:
        return clock.read(db).json(scenario)


def take_lease(call: Call) -> Any:
    """One replay at a time."""
    lease, scenario = call.body(Lease), call.service.scenario
    return clock.take(call.service.store, lease.until, lease.pid).json(scenario)


def give_back_lease(call: Call) -> Any:
    """The replay is over; `?pid=` frees it only if that process holds it."""
    scenario = call.service.scenario
    clock.give_back(call.service.store, call.parameter("pid", int))
    with call.service.store.read() as db:
        return clock.read(db).json(scenario)


def post_tick(call: Call) -> Any:
    """Record one tick."""
    tick, scenario = call.body(Tick), call.service.scenario
    recorded = ticks.record(call.service.store, tick, scenario.prices)
    return {"recorded": recorded, "now": tick.end}


def get_ticks(call: Call) -> Any:
    """Digests of the recorded ticks, oldest first."""
    with call.service.store.read() as db:
        return ticks.digests(db)


def post_decision(call: Call) -> Any:
    """Append to the decision log."""
    return decisions.append(call.service.store, call.body(Decided), call.service.business_time())


def get_decisions(call: Call) -> Any:
    """The decision log."""
    with call.service.store.read() as db:
        return decisions.read(db)


def get_exceptions(call: Call) -> Any:
    """Exceptions that the log granted, oldest first; `?model=` only that model's."""
    with call.service.store.read() as db:
        return decisions.granted(db, call.query.get("model") or None)


def get_lifecycle(call: Call) -> Any:
    """What the log has deprecated or retired; `?model=` only that model's."""
    with call.service.store.read() as db:
        return decisions.standings(db, call.query.get("model") or None)


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
        return ancestry.of_prediction(call.service, prediction, model)
    if not model:
        raise UserError("Lineage is of a model or a prediction.", "GET /lineage?model=…&alias=champion")
    return ancestry.of_model(call.service, model, version, call.query.get("alias", "champion"))


def get_lineage_events(call: Call) -> Any:
    """The log of lineage events, oldest first."""
    with call.service.store.read() as db:
        return lineage.read(db)


def reconcile(call: Call) -> Any:
    """Follow the registry now."""
    wanted = Reconcile.model_validate(call.json_object())
    _ = call.service.scenario
    return call.service.reconciler.run(retire=wanted.retire).json()


def get_releases(call: Call) -> Any:
    """The feed."""
    return call.service.feed.current()


def get_remains(call: Call) -> Any:
    """Where a file still is among the releases; `?sha256=`."""
    digest, feed = call.query.get("sha256", ""), call.service.feed
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UserError(f"{digest!r} is no SHA-256.", "Give 64 hexadecimal digits.")
    named = [f"release {r.id}" for r in feed.current().releases if digest in (r.sha256, r.source_sha256)]
    return [*named, *(["the releases' files"] if feed.blob(digest).exists() else [])]


def get_champion(call: Call) -> Any:
    """The version of a model that a job may use, and its file."""
    return call.service.reconciler.champion(call.path["model"])


def post_batch_run(call: Call) -> Any:
    """Record a run and publish its table; the recorded run, and what became of the release."""
    finished, service = call.body(Finished), call.service
    batches.record(service.store, service.feed, finished, service.scenario.prices)
    try:
        release = service.reconciler.run().json()
    except ArchlabError as error:
        release = {"sequence": service.feed.current().sequence, "published": [], "refused": [{"reason": str(error)}]}
    return {**finished.run.model_dump(mode="json"), "release": release}


def get_batch_runs(call: Call) -> Any:
    """Runs, oldest first."""
    with call.service.store.read() as db:
        return batches.read(db)


def get_snapshot(call: Call) -> Any:
    """The manifest in force, or null."""
    return snapshots.newest(call.service.store)


def post_snapshot(call: Call) -> Any:
    """Publish materialised views; the manifest."""
    return snapshots.publish(call.service.store, call.service.folder, call.body(Materialized))


def post_usage(call: Call) -> Any:
    """Record usage outside ticks."""
    usages, prices = call.body(list[Usage]), call.service.scenario.prices
    with call.service.store.write() as db:
        return {"recorded": bill.record(db, usages, prices)}


def get_score(call: Call) -> Any:
    """The scoreboard of a time."""
    scenario, cards = call.service.scenario, call.service.cards
    since, until = call.parameter("since", UtcTime), call.parameter("until", UtcTime)
    with call.service.store.read() as db:
        return scores.scoreboard(db, scenario, cards, since, until)


def get_daily(call: Call) -> Any:
    """One scoreboard per finished business day."""
    scenario, cards = call.service.scenario, call.service.cards
    with call.service.store.read() as db:
        return scores.daily(db, scenario, cards)


def get_lines(call: Call) -> Any:
    """Lines of the bill; `by=day` sums them per day."""
    with call.service.store.read() as db:
        lines = bill.read(db)
    if (by := call.query.get("by", "")) not in ("", "day"):
        raise UserError(f"Lines can't be summed by {by!r}.", "Use by=day, or GET /cost?by=…")
    return grouping.daily(lines) if by else lines


def get_cost(call: Call) -> Any:
    """The bill, grouped, with its total by both paths."""
    by = [name for name in call.query.get("by", "model,mode,kind").split(",") if name]
    service, prices = call.service, call.service.scenario.prices
    with service.store.read() as db:
        lines, beyond = bill.read(db), bill.read_overflow(db)
    total, again = sum(line.cost_nanousd for line in lines), bill.recomputed(service.folder.control_db, prices)
    return {
        "lines": grouping.group(lines, by),
        "total_nanousd": total,
        "recomputed_nanousd": again,
        "agrees": total == again,
        "emulated_nanousd": sum(line.cost_nanousd for line in lines if line.basis is Basis.EMULATED),
        "overflow": [{**o.interval._asdict(), "quantity": o.quantity} for o in beyond],
    }


def get_budget(call: Call) -> Any:
    """What a team's models cost, as planned for 30 days and as billed in the last 30; `?team=`."""
    service, team = call.service, call.query.get("team", "")
    now = service.business_time()
    with service.store.read() as db:
        return budget.of_team(db, service.scenario, service.desired.plan, team, now)


def get_metrics(call: Call) -> Any:
    """Control's own metrics and every replica's."""
    service = call.service
    _ = service.scenario
    own = metrics.own(service.store, service.feed.current())
    text = metrics.merge([({}, own + service.versions.text()), *metrics.scrape(service.folder, service.desired.plan)])
    return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})


def get_scaling(call: Call) -> Any:
    """Pools that are scaled here, on requests under way."""
    return [state.model_dump(mode="json") for state in call.service.autoscaler.state()]


def list_models(call: Call) -> Any:
    """Model repository extension: what every replica has, merged."""
    service, ready_only = call.service, call.json_object().get("ready") is True
    states = repository.index(service.folder, service.desired.plan, service.feed.current(), ready_only=ready_only)
    return [state._asdict() for state in states]


def load_model(call: Call) -> Any:
    """Model repository extension: every replica that should have the model loads it."""
    return _on_replicas(call, repository.load)


def unload_model(call: Call) -> Any:
    """Model repository extension: no replica answers for the model until it is loaded again."""
    return _on_replicas(call, repository.unload)


def _on_replicas(call: Call, command: repository.Command) -> Any:
    service, parameters = call.service, call.json_object().get("parameters") or {}
    if not isinstance(parameters, dict):
        raise UserError("'parameters' must be an object.", "See docs/interfaces.md, Control.")
    command(service.folder, service.desired.plan, service.feed.current(), call.path["model"], parameters)
    return {}


def get_comparison(call: Call) -> Any:
    """Champion and challenger of a model; `since` is wall time."""
    service, since = call.service, call.parameter("since", UtcTime)
    model = next((m for m in service.scenario.models if m.name == call.path["model"]), None)
    if model is None:
        raise NotFoundError(f"There is no model {call.path['model']!r}.", "See: archlab models")
    service.predictions.take_in(within_s=CAUGHT_UP_WITHIN_S)
    with service.predictions.read(service.folder.control_db) as db:
        return comparison(db, model, service.cards[model.name], service.feed.current().releases, since)


def post_login_code(call: Call) -> Any:
    """A one-time code for the caller's own token."""
    code = call.service.logins.issue(call.token)
    return {"code": code, "path": f"/login/{code}"}


def login(call: Call) -> Any:
    """Set the cookie and go on."""
    token = call.service.logins.redeem(call.path["code"])
    response = RedirectResponse(local_path(call.query.get("next", "/mlflow/")), 303)
    response.set_cookie(COOKIE, token, max_age=LIFETIME_S, path="/", httponly=True, samesite="strict")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def index(call: Call) -> Any:
    """The status page."""
    scenario, cards = call.service.scenario, call.service.cards
    with call.service.store.read() as db:
        state, board = clock.read(db), scores.scoreboard(db, scenario, cards)
    text = page.render(call.service.folder.name, scenario, state, board)
    return HTMLResponse(text, headers={"Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"})


CALLS: tuple[tuple[str, str, Handler, str | None], ...] = (
    ("GET", "/healthz", healthz, None),
    ("GET", "/login/{code}", login, None),
    ("GET", "/", index, ANY),
    ("GET", "/clock", get_clock, ANY),
    ("POST", "/clock/lease", take_lease, OPERATOR),
    ("DELETE", "/clock/lease", give_back_lease, OPERATOR),
    ("POST", "/ticks", post_tick, OPERATOR),
    ("GET", "/ticks", get_ticks, ANY),
    ("POST", "/decisions", post_decision, OPERATOR),
    ("GET", "/decisions", get_decisions, ANY),
    ("POST", "/decisions/verify", verify_decisions, ANY),
    ("POST", "/api/v1/lineage", post_lineage, OPERATOR),
    ("GET", "/lineage", get_lineage, ANY),
    ("GET", "/lineage/events", get_lineage_events, ANY),
    ("GET", "/exceptions", get_exceptions, ANY),
    ("GET", "/lifecycle", get_lifecycle, ANY),
    ("POST", "/releases/reconcile", reconcile, OPERATOR),
    ("GET", "/releases", get_releases, ANY),
    ("GET", "/remains", get_remains, ANY),
    ("GET", "/champions/{model}", get_champion, ANY),
    ("POST", "/batch-runs", post_batch_run, OPERATOR),
    ("GET", "/batch-runs", get_batch_runs, ANY),
    ("GET", "/snapshots", get_snapshot, ANY),
    ("POST", "/snapshots", post_snapshot, OPERATOR),
    ("POST", "/usage", post_usage, OPERATOR),
    ("GET", "/score", get_score, ANY),
    ("GET", "/score/daily", get_daily, ANY),
    ("GET", "/lines", get_lines, ANY),
    ("GET", "/cost", get_cost, ANY),
    ("GET", "/budgets", get_budget, ANY),
    ("GET", "/comparisons/{model}", get_comparison, ANY),
    ("GET", "/metrics", get_metrics, ANY),
    ("GET", "/scaling", get_scaling, ANY),
    ("POST", "/repository/index", list_models, OPERATOR),
    ("POST", "/repository/models/{model}/load", load_model, OPERATOR),
    ("POST", "/repository/models/{model}/unload", unload_model, OPERATOR),
    ("POST", "/login-codes", post_login_code, ANY),
    ("POST", "/desired", sync.put_desired, OPERATOR),
    ("GET", "/sync/blobs/{sha256}", sync.blob, sync.REPLICA),
    ("GET", "/sync/{kind}/applied", sync.applied, ANY),
    ("POST", "/predictions/{replica}", sync.take_predictions, sync.REPLICA),
)
"""Method, path, handler, role (None: no token needed)."""


def routes() -> list[Route]:
    """The calls as routes."""
    plain = [Route(path, endpoint(handler, role), methods=[method]) for method, path, handler, role in CALLS]
    return [*plain, Route("/sync/{kind}", sync.follow, methods=["GET"])]
