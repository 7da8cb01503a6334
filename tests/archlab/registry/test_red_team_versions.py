"""Ways round the gate with what a version is said to be: approvals, evidence, exceptions, states, taking away."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from red_team import (
    ALIAS,
    API,
    CREATE,
    FILES,
    STAGE,
    Answer,
    Target,
    after_approval,
    against_champion,
    champion,
    denied,
    overwrite,
)

NO_HOLDOUT = "archlab.exception.promotion/enough_holdout"


def log_metric(target: Target) -> None:
    target.client.mlflow.log_metric(target.run, "auc", 0.99)


def few_rows(target: Target) -> Answer:
    target.client.become("ada")
    target.client.mlflow.log_metric(target.run, "holdout_rows", 3)
    return target.with_evidence()


def excuse(target: Target, user: str = "ops", rule: str = "promotion/enough_holdout", **changed: Any) -> Answer:
    """Asks for an exception for the target's version."""
    said = {"until": "2013-11-20", "owner": "ada", "reason": "nothing but haste", **changed}
    return target.tag(f"archlab.exception.{rule}", json.dumps(said), user=user)


def by_hand(target: Target, key: str, value: str) -> None:
    """Writes a version's tag into MLflow's database, past everything, as a copy of one that is there."""
    with contextlib.closing(sqlite3.connect(target.registry.folder.registry / "mlflow.db", timeout=30)) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(model_version_tags)")]
        taken = ", ".join({"key": "?", "value": "?"}.get(name, name) for name in names)
        made = db.execute(
            f"INSERT INTO model_version_tags ({', '.join(names)}) SELECT {taken} FROM model_version_tags"
            " WHERE name = ? AND version = ? AND key = 'archlab.author'",
            (
                *((key, value) if names.index("key") < names.index("value") else (value, key)),
                target.name,
                target.version,
            ),
        )
        assert made.rowcount == 1


def excused_by_hand(target: Target) -> Answer:
    """A version that needs an exception, and one that only the database knows."""
    by_hand(target, NO_HOLDOUT, json.dumps({"until": "2013-11-20", "owner": "ada", "reason": "nothing but haste"}))
    target.client.become("ada")
    target.client.mlflow.log_metric(target.run, "holdout_rows", 3)
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    return target.send()


def ended(target: Target, key: str, value: str, user: str = "ops") -> Answer:
    """A champion on which somebody sets a tag that ends it."""
    champion(target)
    return target.tag(key, value, user=user)


def archived(target: Target) -> Answer:
    champion(target)
    return target.send(STAGE, {"name": target.name, "version": target.version, "stage": "Archived"}, user="ops")


def model_retired(target: Target) -> Answer:
    champion(target)
    body = {"name": target.name, "key": "archlab.retired", "value": "haste"}
    return target.send(f"{API}/registered-models/set-tag", body, user="ops")


def back(
    target: Target, path: str = ALIAS, method: str = "POST", retired: str = "archlab.retired", **body: Any
) -> Answer:
    """An approved version that was retired before it was anything, and a way back."""
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    assert target.tag(retired, "not good enough", user="ada")[0] == 200
    return target.send(path, target.promotion(**body), method=method)


RULED: dict[str, Callable[[Target], Answer]] = {
    # approvals
    "author approves": lambda t: t.tag("archlab.approved_by", "ada", user="ada"),
    "operator approves": lambda t: t.tag("archlab.approved_by", "ops"),
    "in another's name": lambda t: t.tag("archlab.approved_by", "bob", user="grace"),
    "approval at creation": lambda t: t.send(
        CREATE,
        {"name": t.name, "source": "models:/m-0", "tags": [{"key": "archlab.approved_by", "value": "grace"}]},
    ),
    "author's tag": lambda t: t.tag("archlab.author", "bob"),
    "digest's tag": lambda t: t.tag("archlab.sha256", "a" * 64),
    "time of the approval": lambda t: t.tag("archlab.approved_at", "2013-11-06T08:00:00+00:00"),
    "what was approved": lambda t: t.tag("archlab.approved_evidence", "a" * 64),
    "was champion before": lambda t: t.tag("archlab.promoted_at", "2013-11-06T08:00:00+00:00"),
    "owner's tag": lambda t: t.send(
        f"{API}/registered-models/set-tag", {"name": t.name, "key": "archlab.owner_team", "value": "revenue"}
    ),
    "metrics after the approval": lambda t: after_approval(t, lambda: log_metric(t)),
    "file after the approval": lambda t: after_approval(t, lambda: overwrite(t)),
    # evidence
    "baseline that is no number": lambda t: t.with_evidence(baseline="nan"),
    "baseline of minus infinity": lambda t: t.with_evidence(baseline="-inf"),
    "metric that nobody ranks": lambda t: t.with_evidence(metric="holdout_rows"),
    "metric that was not logged": lambda t: t.with_evidence(metric="f1"),
    "parity below zero": lambda t: t.with_evidence(parity_max_abs_diff="-1"),
    "evaluated in the future": lambda t: t.with_evidence(evaluated_at="2099-01-01T00:00:00+00:00"),
    "evaluated without a zone": lambda t: t.with_evidence(evaluated_at="2013-11-04T08:00:00"),
    "columns that are null": lambda t: t.with_evidence(columns="null"),
    "columns of nowhere": lambda t: t.with_evidence(columns='[{"name": "a", "source": "nowhere"}]'),
    "measured on few rows": few_rows,
    # exceptions
    "exception by the author": lambda t: excuse(t, "ada"),
    "exception by an operator": lambda t: excuse(t, "ops"),
    "exception from four eyes": lambda t: excuse(t, "grace", "promotion/approved_by_another"),
    "exception from the digest": lambda t: excuse(t, "grace", "promotion/onnx_matches"),
    "exception from granting": lambda t: excuse(t, "grace", "exception/granted_by_another"),
    "exception from no rule": lambda t: excuse(t, "grace", "promotion"),
    "exception from a rule in capitals": lambda t: excuse(t, "grace", "promotion/Enough_Holdout"),
    "exception without an end": lambda t: excuse(t, "grace", until=None),
    "exception for ever": lambda t: excuse(t, "grace", until="9999-12-30"),
    "exception that has passed": lambda t: excuse(t, "grace", until="2013-11-01"),
    "exception without a zone": lambda t: excuse(t, "grace", until="2013-11-20T00:00:00"),
    "exception for blanks": lambda t: excuse(t, "grace", reason=" " * 20),
    "exception owned by nobody": lambda t: excuse(t, "grace", owner=" "),
    "exception at creation": lambda t: t.send(
        CREATE, {"name": t.name, "source": "models:/m-0", "tags": [{"key": NO_HOLDOUT, "value": "{}"}]}, user="ops"
    ),
    "exception written into the database": excused_by_hand,
    # states
    "champion retired before anybody was told": lambda t: ended(t, "archlab.retired", "haste"),
    "champion archived": lambda t: archived(t),
    "champion deprecated until yesterday": lambda t: ended(t, "archlab.sunset", "2013-11-05"),
    "champion deprecated by another team": lambda t: ended(t, "archlab.sunset", "2013-12-05", user="bob"),
    "champion retired by its developer": lambda t: ended(t, "archlab.retired", "haste", user="ada"),
    "champion's model retired": lambda t: model_retired(t),
    "retired, then promoted": lambda t: back(t),
    "retired, then a stage": lambda t: back(t, STAGE, stage="Production"),
    "retired, then challenger": lambda t: back(t, alias="challenger"),
    "retired, then reinstated": lambda t: back(t, f"{API}/model-versions/delete-tag", "DELETE", key="archlab.retired"),
    "retired, the other tag deleted": lambda t: back(
        t, f"{API}/model-versions/delete-tag", "DELETE", key="archlab.sunset"
    ),
    "retired, the version with a zero": lambda t: back(t, version=f"0{t.version}"),
    "retired in capitals": lambda t: back(t, retired="ARCHLAB.Retired"),
    "sunset at creation": lambda t: t.send(
        CREATE, {"name": t.name, "source": "models:/m-0", "tags": [{"key": "archlab.sunset", "value": "2013-12-05"}]}
    ),
    # taking away
    "champion's alias": lambda t: against_champion(t, "DELETE", ALIAS, alias="champion"),
    "champion's alias in capitals": lambda t: against_champion(t, "DELETE", ALIAS, alias="CHAMPION"),
    "champion's version": lambda t: against_champion(t, "DELETE", f"{API}/model-versions/delete", version=t.version),
    "champion's version with a zero": lambda t: against_champion(
        t, "DELETE", f"{API}/model-versions/delete", version=f"0{t.version}"
    ),
    "champion's model": lambda t: against_champion(t, "DELETE", f"{API}/registered-models/delete"),
    "champion's run": lambda t: against_champion(t, "POST", f"{API}/runs/delete", run_id=t.run),
    "champion's files": lambda t: against_champion(t, "DELETE", f"{FILES}/{t.place}/model"),
}


@pytest.mark.parametrize("way", RULED)
def test_what_a_version_is_said_to_be_opens_no_gate(target: Target, way: str) -> None:
    denied(target, RULED[way](target))
