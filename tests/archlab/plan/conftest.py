"""A small scenario for the tests of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.plan.loading import parse
from archlab.spec.scenario import Scenario

TEXT = """
format: archlab/scenario/v1
name: small
title: Small
summary: Two models.
level: foundation
minutes: 10
starts: 2013-11-04T08:00:00Z
teams: [{name: ops, title: Operations}, {name: revenue, title: Revenue, requests_per_second: 50}]
users: [{name: ada, team: ops, roles: [developer]}, {name: bo, team: ops, roles: [approver]}]
learner: ada
approver: bo
trainer: ada
pools:
  - {name: online, min_replicas: 2}
  - {name: bento, runtime: bento}
  - {name: lookup, serves: table, min_replicas: 2}
models:
  - &delay
    name: delay
    title: Late?
    team: ops
    owner: ada
    mode: online
    pool: online
    replicas: 3
    cpu_millicores: 500
    batch_cpu_millicore_seconds: 1000
    caller: &caller
      name: desk
      asks: flight-scheduled
      deadline_ms: 300
      max_age: PT1H
      represents: 200
      value: {kind: classification, threshold: 0.3, true_positive: 100, false_positive: -20}
    slo: {p99_ms: 150, availability: 0.999}
  - {<<: *delay, name: segments, mode: batch, team: revenue, replicas: 1}
  - {<<: *delay, name: congestion, pool: bento, replicas: 1}
features: [{view: weather, every: PT1H, cpu_millicore_seconds: 10}]
platform_millicores: 1000
prices:
  source: made for tests
  prices:
    - {resource: online_cpu, effective: 2013-01-01T00:00:00Z, nanousd: 10}
    - {resource: online_cpu, effective: 2013-12-01T00:00:00Z, nanousd: 12}
    - {resource: batch_cpu, effective: 2013-01-01T00:00:00Z, nanousd: 2}
variations:
  - {name: volume, path: models.delay.caller.represents, choices: [10, 200, 4000]}
  - {name: deadline, path: models.congestion.caller.deadline_ms, choices: [50, 500]}
  - {name: worth, path: models.delay.caller.value.true_positive, choices: [100, 900]}
  - {name: price, path: prices.online_cpu, choices: [5, 50]}
  - {name: schedule, path: features.weather.every, choices: [PT30M, PT2H]}
"""


@pytest.fixture
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return parse(TEXT, Scenario, source="small.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scenario.yaml"
