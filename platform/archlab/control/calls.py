"""Every call of docs/interfaces.md, section Control."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from archlab.control import (
    audit,
    batches,
    clock,
    features,
    grants,
    metrics,
    money,
    page,
    repository,
    scores,
    snapshots,
    sync,
    ticks,
)
from archlab.control.batches import Finished
from archlab.control.comparison import comparison
from archlab.control.edge import ANY, Call, Handler, endpoint
from archlab.control.grants import Asked
from archlab.control.login import COOKIE, local_path
from archlab.control.snapshots import Materialized
from archlab.errors import ArchlabError, NotFoundError, UserError
from archlab.identity import LIFETIME_S, RECORDER
from archlab.spec.access import APPROVER, OPERATOR
from archlab.spec.airline import Tick
from archlab.spec.base import Spec, UtcTime

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
    recorded = ticks.record(call.service.store, tick, scenario)
    call.service.settle_quotas()
    return {"recorded": recorded, "now": tick.end}


def get_ticks(call: Call) -> Any:
    """Digests of the recorded ticks, oldest first."""
    with call.service.store.read() as db:
        return ticks.digests(db)


def reconcile(call: Call) -> Any:
    """Follow the registry now."""
    wanted = Reconcile.model_validate(call.json_object())
    _ = call.service.scenario
    return call.service.reconciler.run(retire=wanted.retire).json()


def get_releases(call: Call) -> Any:
    """The feed, as far as it is the asker's."""
    return call.seen.feed(call.service.feed.current())


def get_remains(call: Call) -> Any:
    """Where a file still is among the releases; `?sha256=`."""
    call.seen.require_everything("Where any file remains")
    digest, feed = call.query.get("sha256", ""), call.service.feed
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise UserError(f"{digest!r} is no SHA-256.", "Give 64 hexadecimal digits.")
    named = [f"release {r.id}" for r in feed.current().releases if digest in (r.sha256, r.source_sha256)]
    return [*named, *(["the releases' files"] if feed.blob(digest).exists() else [])]


def get_champion(call: Call) -> Any:
    """The version of a model that a job may use, and its file."""
    call.seen.require_model(call.path["model"])
    return call.service.reconciler.champion(call.path["model"])


def post_batch_run(call: Call) -> Any:
    """Record a run and publish its table; the recorded run, and what became of the release."""
    finished, service = call.body(Finished), call.service
    batches.record(service.store, service.feed, finished, service.scenario)
    try:
        release = service.reconciler.run().json()
    except ArchlabError as error:
        release = {"sequence": service.feed.current().sequence, "published": [], "refused": [{"reason": str(error)}]}
    return {**finished.run.model_dump(mode="json"), "release": release}


def get_batch_runs(call: Call) -> Any:
    """Runs, oldest first."""
    with call.service.store.read() as db:
        return call.seen.runs(batches.read(db))


def get_snapshot(call: Call) -> Any:
    """The manifest in force, or null."""
    return call.seen.snapshot(snapshots.newest(call.service.store))


def get_features(call: Call) -> Any:
    """Feature views that the asker may read."""
    return features.listed(call.service.folder, snapshots.newest(call.service.store), call.seen)


def get_rows(call: Call) -> Any:
    """Rows of a feature view; `?key=` (repeated), `?columns=a,b`."""
    manifest, keys = snapshots.newest(call.service.store), call.query.getlist("key")
    wanted = call.query.get("columns", "")
    return features.rows(call.service.folder, manifest, call.seen, call.path["view"], keys, wanted)


def get_grants(call: Call) -> Any:
    """Grants in force that are the asker's affair."""
    return grants.listed(call.service, call.seen.subject, everything=call.seen.everything)


def post_grant(call: Call) -> Any:
    """Decide on a grant; what comes back is the grant with its decision, which the plan then carries out."""
    return grants.decide(call.service, call.seen.subject, call.body(Asked), "access/grant")


def delete_grant(call: Call) -> Any:
    """Decide on taking one back."""
    return grants.decide(call.service, call.seen.subject, call.body(Asked), "access/revoke")


def post_snapshot(call: Call) -> Any:
    """Publish materialised views; the manifest."""
    return snapshots.publish(call.service.store, call.service.folder, call.body(Materialized))


def get_score(call: Call) -> Any:
    """The scoreboard of a time."""
    scenario, cards = call.service.scenario, call.service.cards
    since, until = call.parameter("since", UtcTime), call.parameter("until", UtcTime)
    with call.service.store.read() as db:
        return call.seen.scoreboard(scores.scoreboard(db, scenario, cards, since, until))


def get_daily(call: Call) -> Any:
    """One scoreboard per finished business day."""
    scenario, cards = call.service.scenario, call.service.cards
    with call.service.store.read() as db:
        return [call.seen.scoreboard(board) for board in scores.daily(db, scenario, cards)]


def get_quotas(call: Call) -> Any:
    """Requests of the business day by team, and who has used up its quota; of the asker's team alone to its members."""
    service, own = call.service, call.seen.teams
    return {"requests": own(service.requests_today()), "closed": own(service.feed.current().closed)}


def settle_quotas(call: Call) -> Any:
    """Go by limits that were changed, now."""
    call.service.settle_quotas()
    return get_quotas(call)


def get_metrics(call: Call) -> Any:
    """Control's own metrics and every replica's."""
    service = call.service
    _ = service.scenario
    own = metrics.own(service.store, service.feed.current())
    text = metrics.merge([({}, own + service.versions.text()), *metrics.scrape(service.folder, service.desired.plan)])
    return Response(call.seen.metrics(text), headers={"Content-Type": metrics.CONTENT_TYPE})


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
    call.seen.require_model(call.path["model"])
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
        state, board = clock.read(db), call.seen.scoreboard(scores.scoreboard(db, scenario, cards))
    text = page.render(call.service.folder.name, scenario, state, board)
    return HTMLResponse(text, headers={"Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"})


CALLS: tuple[tuple[str, str, Handler, str | None], ...] = (
    ("GET", "/healthz", healthz, None),
    ("GET", "/login/{code}", login, None),
    ("GET", "/", index, ANY),
    ("GET", "/clock", get_clock, ANY),
    ("POST", "/clock/lease", take_lease, OPERATOR),
    ("DELETE", "/clock/lease", give_back_lease, OPERATOR),
    ("POST", "/ticks", post_tick, RECORDER),
    ("GET", "/ticks", get_ticks, ANY),
    ("POST", "/decisions", audit.post_decision, RECORDER),
    ("GET", "/decisions", audit.get_decisions, ANY),
    ("POST", "/decisions/verify", audit.verify_decisions, ANY),
    ("POST", "/api/v1/lineage", audit.post_lineage, OPERATOR),
    ("GET", "/lineage", audit.get_lineage, ANY),
    ("GET", "/lineage/events", audit.get_lineage_events, ANY),
    ("GET", "/exceptions", audit.get_exceptions, ANY),
    ("GET", "/lifecycle", audit.get_lifecycle, ANY),
    ("GET", "/traffic", audit.get_traffic, ANY),
    ("POST", "/releases/reconcile", reconcile, OPERATOR),
    ("GET", "/releases", get_releases, ANY),
    ("GET", "/remains", get_remains, ANY),
    ("GET", "/champions/{model}", get_champion, ANY),
    ("POST", "/batch-runs", post_batch_run, RECORDER),
    ("GET", "/batch-runs", get_batch_runs, ANY),
    ("GET", "/snapshots", get_snapshot, ANY),
    ("GET", "/features", get_features, ANY),
    ("GET", "/features/{view}", get_rows, ANY),
    ("GET", "/grants", get_grants, ANY),
    ("POST", "/grants", post_grant, ANY),
    ("DELETE", "/grants", delete_grant, ANY),
    ("POST", "/snapshots", post_snapshot, RECORDER),
    ("POST", "/usage", money.post_usage, OPERATOR),
    ("GET", "/score", get_score, ANY),
    ("GET", "/score/daily", get_daily, ANY),
    ("GET", "/lines", money.get_lines, ANY),
    ("GET", "/cost", money.get_cost, ANY),
    ("GET", "/cost/verification", money.get_verification, ANY),
    ("GET", "/corrections", money.get_corrections, ANY),
    ("POST", "/corrections", money.post_correction, APPROVER),
    ("GET", "/budgets", money.get_budget, ANY),
    ("GET", "/quotas", get_quotas, ANY),
    ("POST", "/quotas/settle", settle_quotas, OPERATOR),
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
