"""Queries for the rules: good ones of every action, and thousands of damaged ones from a seed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from archlab.spec.policy import PolicyResource, Query, Subject

NOW = datetime(2013, 11, 6, 8, tzinfo=UTC)

VERSION: dict[str, Any] = {
    "version": "2",
    "author": "ada",
    "approved_by": "grace",
    "changed_since_approval": False,
    "approved_age_days": 1.0,
    "held_champion": False,
    "serves": False,
    "withdrawn": False,
    "state": "candidate",
    "metric": "auc",
    "value": 0.78,
    "baseline": 0.65,
    "metrics": {"auc": 0.78, "holdout_rows": 2000},
    "data_digest": "d",
    "code_version": "c",
    "columns": [{"name": "hour", "source": "request"}, {"name": "wx_temp", "source": "weather"}],
    "evaluated_at": "2013-11-04T08:00:00+00:00",
    "evaluated_age_days": 2.0,
    "onnx": {"sha256": "a" * 64, "registered_sha256": "a" * 64, "parity_max_abs_diff": 0.25e-6},
    "bom": {
        "sha256": "b" * 64,
        "registered_sha256": "b" * 64,
        "spec_version": "1.6",
        "model_sha256": "a" * 64,
        "model_card": True,
        "datasets": ["d"],
        "libraries": ["numpy==2.1.0"],
    },
}
WAIVED = "promotion/enough_holdout"
EXCEPTION: dict[str, Any] = {
    "id": "000007-0123abcd",
    "rule": WAIVED,
    "granted_by": "grace",
    "owner": "ada",
    "until": "2013-11-20T00:00:00+00:00",
    "days_left": 13.75,
}
SIGNATURE = {"state": "valid", "key": "e" * 64}
PROMOTION: dict[str, Any] = {
    "version": VERSION,
    "signature": SIGNATURE,
    "has_champion": True,
    "champion": {"version": "1", "value": 0.75},
    "served_views": ["weather", "origin_ops"],
    "restricted_views": {"aircraft_profile": {"maintenance": []}, "weather": {"operations": ["gust"]}},
    "exceptions": [EXCEPTION],
    "cost": {
        "team": "operations",
        "planned_nanousd_per_30_days": 120_000_000_000,
        "spent_nanousd_last_30_days": 80_000_000_000,
    },
}
CANARY: dict[str, Any] = {
    **PROMOTION,
    "version": {**VERSION, "state": "challenger"},
    "percent": 25,
    "percent_allowed": 10,
    "percent_routed": 10,
    "as_challenger": {"allow": True, "reasons": [], "exceptions": []},
    "as_champion": {
        "allow": False,
        "reasons": [{"rule": WAIVED, "code": "few_rows", "message": "Only 3 rows."}],
        "exceptions": [],
    },
}
GOOD: dict[str, dict[str, Any]] = {
    "promotion/champion": PROMOTION,
    "promotion/challenger": PROMOTION,
    "deployment/canary": CANARY,
    "access/write": {},
    "access/tag": {"key": "archlab.metric", "operation": "set", "value": "auc", "author": "ada"},
    "access/alias": {"alias": "candidate"},
    "access/grant": {"team": "revenue", "may": "call", "without": [], "reason": "fares follow delays"},
    "access/revoke": {"team": "revenue", "may": "call", "without": [], "reason": ""},
    "access/remove_champion": {"operation": "Deleting version 1"},
    "supply_chain/name": {"name": "gate-delay", "others": ["departure-delay", "flight-time"]},
    "supply_chain/register": {
        "source": "mlflow-artifacts:/1/abc/artifacts/model",
        "in_store": True,
        "source_teams": ["operations"],
        "files": [
            {"path": "model.onnx", "kind": "binary", "bytes": 1200},
            {"path": "MLmodel", "kind": "text", "bytes": 300},
        ],
        "signature": SIGNATURE,
        "graph": {"readable": True, "domains": ["ai.onnx", "ai.onnx.ml"], "outside": [], "oversized": [], "nodes": 3},
    },
    "exception/grant": {
        "rule": WAIVED,
        "known": True,
        "waivable": True,
        "authors": ["ada", "trainer"],
        "model_created": "1383721200000",
        "until": "2013-11-20T00:00:00+00:00",
        "days": 13.75,
        "owner": "ada",
        "reason": "labels of the strike week are late",
    },
    "exception/revoke": {"rule": WAIVED},
    "lifecycle/deprecate": {
        "state": "champion",
        "serves": True,
        "sunset": "2013-12-07T00:00:00+00:00",
        "notice_days": 30.6,
        "model_created": "1383721200000",
    },
    "lifecycle/reinstate": {"state": "deprecated", "serves": True, "model_created": "1383721200000"},
    "lifecycle/retire": {
        "state": "deprecated",
        "serves": True,
        "reason": "replaced",
        "sunset_age_days": 0.5,
        "model_created": "1383721200000",
    },
    "retention/delete": {"versions": [{"version": "1", "held_champion": True, "replaced_age_days": 45, "hold": ""}]},
    "retention/keep": {"state": "retired", "retired_age_days": 12.5, "hold": ""},
    "retention/remove_source": {"registered": []},
    "quota/change": {
        "asks": [
            {"what": "memory", "used": 256, "limit": 256, "borrowed": 0},
            {"what": "budget", "used": 85, "limit": 80, "borrowed": 5},
        ]
    },
    "quota/raise": {"what": "memory", "limit": 512, "before": 256},
    "admission/deploy": {
        "workload": {"kind": "Deployment", "name": "web"},
        "allowed_images": ["archlab"],
        "required_limits": ["cpu", "memory"],
        "pod": {
            "metadata": {"labels": {"archlab.dev/team": "operations"}},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "archlab/serving:1",
                        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                        "securityContext": {"privileged": False},
                    }
                ],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
            },
        },
    },
}
"""Evidence by action with which an operator is let through."""

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, 1e-300, 2**53, "", " ", "true", "null", "0.9", "ada", "grace"),
    *(
        "champion",
        "candidate",
        "retired",
        "deprecated",
        "archlab.approved_by",
        "archlab.hold",
        "weather",
        "ä",
        "\u0430da",
        'a"b',
        "a\\b",
        "a\nb",
        "{}",
        "[]",
    ),
    *("2013-12-25T00:00:00Z", "9999-12-31T23:59:59Z", "not a time", "\u202egrace", "x" * 5000),
    *([], {}, [None], [[]], [{}], {"a": None}, ["ada"], {"version": "1"}, [{"version": "1"}], [1, "a", None]),
)

TIMES = (NOW, NOW + timedelta(days=47), datetime(2013, 12, 26, 23, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC))
ROLES = ("developer", "operator", "approver", "viewer", "trainer", "finance", "Operator", "operator ", "")


def good(action: str, **evidence: Any) -> Query:
    """A query that the built-in rules allow."""
    return Query(
        subject=Subject(user="ops", team="operations", roles=("developer", "operator", "approver")),
        action=action,
        resource=PolicyResource(kind="model-version", name="departure-delay", version="2", team="operations"),
        evidence={**copy.deepcopy(GOOD[action]), **evidence},
        time=NOW,
    )


def damaged(seed: int, count: int) -> Iterator[Query]:
    """Good queries with up to three fields missing, of another type, None or odd; other subjects, times, actions."""
    chance = random.Random(seed)
    for _ in range(count):
        query = good(chance.choice(list(GOOD)))
        evidence = copy.deepcopy(query.evidence)
        if "exceptions" in evidence:
            _waive(evidence, chance)
            _back(evidence, chance)
        for _ in range(chance.randint(0, 3)):
            _damage(evidence, chance)
        yield query.model_copy(update={"evidence": evidence, **_surroundings(query, chance)})


def _waive(evidence: dict[str, Any], chance: random.Random) -> None:
    """Something that an exception would help with, and up to three exceptions that are for it, or nearly."""
    if chance.random() < 0.5:
        evidence["version"]["metrics"]["holdout_rows"] = 3
    if chance.random() < 0.3:
        evidence["version"]["approved_by"] = "ada"
    rules = (*[WAIVED] * 6, "promotion/approved_by_another", "promotion/onnx_matches", "Promotion/enough_holdout", "")
    evidence["exceptions"] = [
        {
            **EXCEPTION,
            "rule": chance.choice(rules),
            "granted_by": chance.choice((*["grace"] * 6, "ada", "")),
            "days_left": chance.choice((*[13.75] * 8, 0.001, 0, -3, "1", None, True)),
        }
        for _ in range(chance.randint(0, 3))
    ]


def _back(evidence: dict[str, Any], chance: random.Random) -> None:
    """Often a former champion, which may be a rollback, with something that only a rollback passes with."""
    if chance.random() < 0.2:
        replaced = chance.choice((*[3.5] * 4, 30, 31, 0, -1, "3", None))
        history = {"held_champion": True, "serves": chance.random() < 0.2, "withdrawn": chance.random() < 0.3}
        late = {"approved_age_days": 50.0, "evaluated_age_days": 50.0, "value": 0.7}
        evidence["version"] |= {**history, "replaced_age_days": replaced, **(late if chance.random() < 0.5 else {})}


def _damage(evidence: dict[str, Any], chance: random.Random) -> None:
    places = list(_places(evidence))
    if not places:
        return
    holder, key = chance.choice(places)
    if chance.random() < 0.4:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every field and element, however deep, as its holder and its key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _surroundings(query: Query, chance: random.Random) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if chance.random() < 0.4:
        users, teams = ("ada", "grace", "", "gr\u0430ce"), ("operations", "revenue", "")
        roles = tuple(chance.sample(ROLES, chance.randint(0, 3)))
        changed["subject"] = Subject(user=chance.choice(users), team=chance.choice(teams), roles=roles)
    if chance.random() < 0.2:
        changed["time"] = chance.choice(TIMES)
    if chance.random() < 0.1:
        changed["action"] = chance.choice(
            (*GOOD, "promotion/", "Promotion/champion", "promotion/champion ", "data/x", "")
        )
    if chance.random() < 0.2:
        changed["resource"] = query.resource.model_copy(
            update={"team": chance.choice(("", "revenue")), "name": chance.choice(("", 'x"y', "flight-time"))}
        )
    return changed
