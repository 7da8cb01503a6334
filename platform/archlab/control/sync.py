"""How pods and control exchange files where no disk is shared: manifests, content by digest, prediction logs.

A request with `have` is held until there is something else, so that pods follow at once. See `archlab_serving.sidecar`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from archlab.addresses import on_cluster
from archlab.control import received, traffic
from archlab.control.edge import Call, respond
from archlab.control.published import KINDS, Follower, Published
from archlab.control.service import Service
from archlab.errors import NotFoundError, RefusedError, UserError
from archlab.files import write_atomic
from archlab.spec.base import Spec
from archlab.spec.plan import Plan

_log = logging.getLogger(__name__)

REPLICA = "replica"
"""Role of pods: they read what is published for them and hand on their prediction logs."""
LOOK_EVERY_S = 0.03
LONGEST_WAIT_S = 25.0
DESIRED = frozenset(
    {"lab.json", "scenario.json", "plan.json", "overrides.json", "known_columns.json", "gateway/plan.json"}
    | {"policy/bundle.json", "policy/bundle.sig"}
)
"""What the command line may put into control's folder."""
PLANS = frozenset({"plan.json", "gateway/plan.json"})
LONGEST_NAME = 120


class Desired(Spec):
    """Body of `POST /desired`."""

    files: dict[str, str]


async def follow(request: Request) -> Response:
    """`GET /sync/<kind>?have=&unit=&replica=&wait_s=`: the manifest, or 204 when nothing changed in time."""
    service: Service = request.app.state.service
    call = Call(service, request, b"")
    await run_in_threadpool(call.authorise, REPLICA)
    kind, have, unit = call.path["kind"], call.query.get("have", ""), call.query.get("unit", "")
    if kind not in KINDS:
        raise NotFoundError(f"Nothing is published for {kind!r}.", f"Known: {', '.join(sorted(KINDS))}.")
    if not call.seen.everything and (kind != "server" or unit not in _own_units(call)):
        raise RefusedError(f"A pod of team {call.seen.subject.team} follows its own servers' files only.")
    _note(service.published, call, kind)
    deadline = time.monotonic() + min(call.parameter("wait_s", float) or 0.0, LONGEST_WAIT_S)
    while True:
        found = service.published.manifest(kind, unit, _pool(service, unit))
        if found.digest != have:
            return respond({"digest": found.digest, "files": [f.model_dump(exclude_none=True) for f in found.files]})
        if time.monotonic() >= deadline:
            return Response(status_code=204)
        await asyncio.sleep(LOOK_EVERY_S)


def blob(call: Call) -> Any:
    """`GET /sync/blobs/<sha256>`: a release's or a view's file."""
    sha256, folder = call.path["sha256"], call.service.folder
    if len(sha256) != 64 or not sha256.isalnum():
        raise UserError(f"{sha256!r} is no digest.")
    if not call.seen.everything and sha256 not in _own_digests(call):
        raise RefusedError(f"Nothing of digest {sha256[:12]}… is published for team {call.seen.subject.team}.")
    for path in (folder.releases / "blobs" / sha256, folder.snapshots / "blobs" / f"{sha256}.json"):
        if path.is_file():
            return FileResponse(path, media_type="application/octet-stream")
    raise NotFoundError(f"Nothing of digest {sha256[:12]}… is published.")


def applied(call: Call) -> Any:
    """`GET /sync/<kind>/applied`: the manifest in force, and how far each pod that asked lately is."""
    published, kind = call.service.published, call.path["kind"]
    if kind not in KINDS:
        raise NotFoundError(f"Nothing is published for {kind!r}.", f"Known: {', '.join(sorted(KINDS))}.")
    now = time.monotonic()
    followers = [
        {"replica": name, "have": f.have, "applied": f.applied, "error": f.error, "asked_s_ago": now - f.asked}
        for (known, name), f in sorted(published.followers.items())
        if known == kind
    ]
    digest = published.manifest(kind, "", "").digest if kind != "server" else ""
    return {"digest": digest, "replicas": followers}


def put_desired(call: Call) -> Any:
    """`POST /desired`: desired state that the command line hands over, since no folder is shared."""
    if not on_cluster():
        raise NotFoundError("This control shares its folder with the command line.")
    wanted = call.body(Desired)
    if unknown := sorted(wanted.files.keys() - DESIRED):
        raise UserError(f"{unknown[0]!r} is nothing that is handed over.", f"Known: {', '.join(sorted(DESIRED))}.")
    _check_traffic(call.service, wanted)
    for name, text in wanted.files.items():
        write_atomic(call.service.folder.root / name, text)
    return {"written": sorted(wanted.files)}


def _check_traffic(service: Service, wanted: Desired) -> None:
    """No plan takes callers where no decision lets them go."""
    for name in PLANS & wanted.files.keys():
        try:
            plan = Plan.model_validate_json(wanted.files[name])
        except ValidationError as error:
            raise UserError(f"{name} can't be read: {error.errors()[0]['msg']}.") from None
        with service.store.read() as db:
            found = list(traffic.faults(db, plan))
        if found:
            _log.warning("desired state refused: %s", "; ".join(found))
            raise RefusedError(
                f"Nothing was changed: {'; '.join(found)}.", "Ask for the share: archlab set MODEL canary PERCENT"
            )


def take_predictions(call: Call) -> Any:
    """`POST /predictions/<replica>?offset=&oldest=`: the next bytes of a pod's log; the length of control's copy.

    What is there already is passed over, so a piece that was sent twice counts once. See `archlab.control.received`.
    """
    name, offset, oldest = call.path["replica"], call.parameter("offset", int) or 0, call.parameter("oldest", int) or 0
    if not name.replace("-", "").isalnum() or len(name) > LONGEST_NAME:
        raise UserError(f"{name!r} is no name of a replica.")
    team = call.seen.subject.team
    # a team's own pool is called like the team; its pods hand on their last lines when the plan has it no longer
    if not call.seen.everything and _unit_of(name) not in _own_units(call) | {team}:
        raise RefusedError(f"{name} is no server of team {team}.")
    path = call.service.folder.predictions / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return {"length": received.append(path, call.content, offset, oldest)}


def _own_units(call: Call) -> frozenset[str]:
    """Servers that the asking pod's team has to itself."""
    team = call.seen.subject.team
    return frozenset(unit.name for unit in call.service.desired.plan.units if unit.team == team)


def _unit_of(pod: str) -> str:
    """A Deployment's pods are called `<unit>-<hash of the template>-<five letters>`."""
    return pod.rpartition("-")[0].rpartition("-")[0]


def _own_digests(call: Call) -> frozenset[str]:
    """Of the files that these follow."""
    service = call.service
    found = (service.published.manifest("server", unit, _pool(service, unit)) for unit in _own_units(call))
    return frozenset(file.sha256 for manifest in found for file in manifest.files)


def _note(published: Published, call: Call, kind: str) -> None:
    query = call.query
    follower = Follower(
        unit=query.get("unit", ""),
        have=query.get("have", ""),
        applied=query.get("applied", ""),
        error=query.get("error", ""),
        asked=time.monotonic(),
    )
    published.followers[kind, query.get("replica", "")] = follower


def _pool(service: Service, unit: str) -> str:
    if not unit:
        return ""
    try:
        return service.desired.plan.unit(unit).pool
    except KeyError:
        raise NotFoundError(f"The plan has no unit {unit!r}.") from None
