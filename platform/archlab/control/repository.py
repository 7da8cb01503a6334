"""The model repository extension for the whole lab: every replica of every pool is asked, and their answers merged.

Replicas are asked directly, as the gateway would ask for an operator; control has checked the role.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from archlab.addresses import Replica, replicas
from archlab.errors import ArchlabError, NotFoundError, UnavailableError, UserError
from archlab.settings import LabFolder
from archlab.spec.plan import Plan
from archlab.spec.release import ReleaseFeed
from archlab.unixhttp import send

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
_WORST_FIRST = (UNAVAILABLE, LOADING, READY)
_HEADERS = {"Content-Type": "application/json", "x-archlab-scope": "operator"}
_INDEX_TIMEOUT_S = 2.0
_LOAD_TIMEOUT_S = 50.0
"""Less than the gateway gives control."""

T = TypeVar("T")
Command = Callable[[LabFolder, Plan, ReleaseFeed, str, dict[str, Any]], None]


class ModelState(NamedTuple):
    """One version of a model, on one replica or on all."""

    name: str
    version: str
    state: str
    reason: str


Index = dict[tuple[str, str], ModelState] | str
"""What one replica says, or why it says nothing."""


def index(folder: LabFolder, plan: Plan, feed: ReleaseFeed, *, ready_only: bool = False) -> list[ModelState]:
    """Every version, READY when all replicas that should have it say so, else its worst state."""
    servers = replicas(folder, plan)
    answers = dict(zip(servers, _all(servers, _ask_index), strict=True))
    states = merge(answers, feed)
    return [state for state in states if not ready_only or state.state == READY]


def merge(answers: dict[Replica, Index], feed: ReleaseFeed) -> list[ModelState]:
    """One state per version that the feed names; a reason begins with the replica that gave it."""
    merged = []
    pools = {(release.model, release.version): release.pool for release in feed.releases}
    for name, wanted in sorted(pools.items()):
        said = [_said(replica, answer, name) for replica, answer in answers.items() if replica.pool == wanted]
        state = next((state for state in _WORST_FIRST if any(s.state == state for s in said)), UNAVAILABLE)
        reasons = [s.reason for s in said if s.state == state and s.reason]
        if not said:
            reasons = [f"no replica of pool {wanted} is planned"]
        merged.append(ModelState(*name, state, "; ".join(reasons)))
    return merged


def load(folder: LabFolder, plan: Plan, feed: ReleaseFeed, model: str, parameters: dict[str, Any]) -> None:
    """Has every replica that should have the model load it.

    Raises:
        NotFoundError: no release of that name.
        UserError: the parameters would bring a model from elsewhere.
        UnavailableError: a replica did not load it; names each and its reason.
    """
    _command(folder, plan, feed, model, "load", parameters)


def unload(folder: LabFolder, plan: Plan, feed: ReleaseFeed, model: str, parameters: dict[str, Any]) -> None:
    """Has every replica drop the model until it is loaded again. Raises as `load` does."""
    _command(folder, plan, feed, model, "unload", parameters)


def _command(
    folder: LabFolder, plan: Plan, feed: ReleaseFeed, model: str, verb: str, parameters: dict[str, Any]
) -> None:
    pools = {release.pool for release in feed.releases if release.model == model}
    if not pools:
        known = ", ".join(sorted({release.model for release in feed.releases})) or "nothing"
        raise NotFoundError(f"No release of a model {model!r} is published; there is {known}.", "See: archlab status")
    servers = [replica for replica in replicas(folder, plan) if replica.pool in pools]
    target = f"/v2/repository/models/{quote(model, safe='')}/{verb}"
    body = json.dumps({"parameters": parameters}).encode()
    faults = [fault for fault in _all(servers, lambda server: _ask(server, target, body)) if fault is not None]
    if not servers:
        faults = [(503, f"no replica of pool {', '.join(sorted(pools))} is planned")]
    if faults:
        kind = UserError if all(status == 400 for status, _ in faults) else UnavailableError
        raise kind(f"{model} was not {verb}ed everywhere: {'; '.join(reason for _, reason in faults)}.")


def _ask(server: Replica, target: str, body: bytes) -> tuple[int, str] | None:
    """Status and reason of a replica that didn't do as asked."""
    try:
        status, answer = send(server.address, "POST", target, _HEADERS, body=body, timeout_s=_LOAD_TIMEOUT_S)
    except ArchlabError:
        return 503, f"{server.name}: does not answer"
    return None if status == 200 else (status, f"{server.name}: {_message(status, answer)}")


def _ask_index(server: Replica) -> Index:
    try:
        status, answer = send(
            server.address,
            "POST",
            "/v2/repository/index",
            _HEADERS,
            body=b"{}",
            timeout_s=_INDEX_TIMEOUT_S,
        )
    except ArchlabError:
        return "does not answer"
    if status != 200:
        return _message(status, answer)
    states = [ModelState(**state) for state in json.loads(answer)]
    return {(state.name, state.version): state for state in states}


def _said(replica: Replica, answer: Index, name: tuple[str, str]) -> ModelState:
    """What a replica says about a version, its reason with the replica's name in front."""
    if isinstance(answer, str):
        return ModelState(*name, UNAVAILABLE, f"{replica.name}: {answer}")
    found = answer.get(name)
    if found is None:
        return ModelState(*name, UNAVAILABLE, f"{replica.name}: has not read this release yet")
    return found._replace(reason=f"{replica.name}: {found.reason}" if found.reason else "")


def _message(status: int, answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return f"answers {status}"


def _all(servers: Sequence[Replica], ask: Callable[[Replica], T]) -> Iterable[T]:
    if not servers:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(servers))) as pool:
        return list(pool.map(ask, servers))
