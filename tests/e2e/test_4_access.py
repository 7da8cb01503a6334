"""`archlab access` on a running lab: the matrix as declared, red where something is open, a grant that takes effect."""

from __future__ import annotations

import json

import pytest

from archlab.lab import Lab
from harness import Cli

pytestmark = pytest.mark.lab


def matrix(cli: Cli) -> tuple[int, list[dict[str, object]]]:
    done = cli.run("access", "matrix", "--json")
    return done.returncode, json.loads(done.stdout)


def test_the_matrix_is_as_declared_and_red_where_something_is_open(cli: Cli, fresh: Lab) -> None:
    code, cells = matrix(cli)
    assert (code, [cell for cell in cells if not cell["agrees"]]) == (0, [])
    assert {cell["found"] for cell in cells if cell["team"] == "operations"} == {True, False}
    layers = {cell["layer"] for cell in cells}
    assert {"gateway", "registry", "search", "runs", "files", "features", "releases", "ledger", "lineage"} <= layers
    assert {"traffic", "quotas"} <= layers

    path = fresh.folder.scenario
    before = path.read_text()
    opened = json.loads(before)
    opened["grants"].append({"team": "operations", "may": "read", "model": "route-segments"})
    try:
        path.write_text(json.dumps(opened))
        code, cells = matrix(cli)
    finally:
        path.write_text(before)
    wrong = [cell for cell in cells if not cell["agrees"]]
    assert code == 1
    assert {(cell["user"], cell["resource"], cell["found"]) for cell in wrong} == {("caller", "route-segments", True)}
    assert {"registry", "files", "releases"} <= {cell["layer"] for cell in wrong}


def test_a_grant_is_taken_back_and_made_again(cli: Cli, fresh: Lab) -> None:
    assert "operations has a grant to call flight-time" in cli.ok("access", "explain", "operations", "flight-time")
    assert "refuse team operations at flight-time" in cli.ok("access", "revoke", "operations", "call", "flight-time")
    assert cli.run("access", "grant", "operations", "call", "flight-time", "--as", "caller").returncode == 1
    code, cells = matrix(cli)
    assert code == 0
    assert not next(c for c in cells if (c["user"], c["layer"], c["resource"]) == ("caller", "gateway", "flight-time"))[
        "found"
    ]
    assert "let team operations call flight-time" in cli.ok("access", "grant", "operations", "call", "flight-time")
    assert matrix(cli)[0] == 0
