"""What members of a team are shown of what control knows, on a running control."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import pytest

from archlab.control.seen import Seen
from archlab.errors import RefusedError
from archlab.plan.access import Access
from archlab.policy.bundle import publish
from archlab.settings import LabFolder
from archlab.spec.access import Grant, May, RestrictedView
from archlab.spec.policy import Subject
from archlab.spec.release import ReleaseFeed
from archlab.spec.scenario import User
from control_process import START, Control

ACCESS = Access(
    owners={"delay": "operations", "segments": "revenue"},
    views=(RestrictedView(view="state", owner="operations"),),
    grants=(Grant(team="revenue", may=May.READ, model="delay"),),
)
METRICS = """# HELP archlab_inference_requests_total Requests.
archlab_inference_requests_total{team="operations",model="delay",code="200"} 5
archlab_inference_requests_total{team="revenue",model="segments",code="200"} 7
archlab_cost_usd_total{team="care",model="",kind="idle"} 3
archlab_cost_usd_total{team="revenue",model="",kind="idle"} 4
archlab_up{unit="online",replica="0"} 1
archlab_trap{note="x",unit="model=\\"segments\\""} 1
"""


def seen(team: str, *roles: str) -> Seen:
    return Seen(Subject(user="somebody", team=team, roles=roles or ("viewer",)), lambda: ACCESS)


def test_a_team_sees_samples_of_its_own_and_of_what_it_may_read() -> None:
    shown = [line for line in seen("revenue").metrics(METRICS).splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in shown] == ["5", "7", "4"]
    assert seen("operations").metrics(METRICS).count("archlab_inference_requests_total{") == 1
    assert seen("care").metrics(METRICS).count("archlab_inference_requests_total{") == 0
    assert seen("platform").metrics(METRICS) == seen("care", "operator").metrics(METRICS) == METRICS


def test_only_the_platform_sees_what_is_about_everybody() -> None:
    for one in (seen("operations"), seen("operations", "approver", "developer")):
        with pytest.raises(RefusedError):
            one.require_everything("The log")
        with pytest.raises(RefusedError, match="operations has no grant to read it"):
            one.require_model("segments")
        with pytest.raises(RefusedError):
            one.require_team("revenue")
        one.require_model("delay")
        one.require_team("operations")
    seen("revenue").require_model("delay")
    seen("platform").require_everything("The log")


CARE, LEAD = (
    User(name=f"care-{n}", team="customer-care", roles=r) for n, r in (("one", ("viewer",)), ("lead", ("approver",)))
)
MAINTENANCE = User(name="mo", team="maintenance", roles=("developer",))
REVENUE = User(name="rita", team="revenue", roles=("developer", "approver"))
OPERATOR = User(name="ops", team="platform", roles=("operator",))


def ask(control: Control, user: User, path: str, method: str = "GET", body: Any = None) -> httpx.Response:
    with control.client(user) as client:
        return client.request(method, path, json=body)


def decided(name: str, team: str) -> dict[str, Any]:
    return {
        "query": {
            "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
            "action": "promotion/champion",
            "resource": {"kind": "model-version", "name": name, "version": "1", "digest": "a" * 64, "team": team},
            "evidence": {},
            "time": "2013-12-02T08:00:00Z",
        },
        "decision": {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64},
    }


def test_decisions_of_another_team_are_not_shown(control: Control) -> None:
    control.post("/decisions", decided("missed-connection", "customer-care"))
    control.post("/decisions", decided("route-segments", "revenue"))
    names = {
        user.name: [r["query"]["resource"]["name"] for r in ask(control, user, "/decisions").json()]
        for user in (CARE, REVENUE, OPERATOR)
    }
    assert names == {
        "care-one": ["missed-connection"],
        "rita": ["route-segments"],
        "ops": ["missed-connection", "route-segments"],
    }


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/budgets?team=revenue",
            "/corrections",
            "/cost/verification",
            "/champions/route-segments",
            "/comparisons/route-segments",
            "/traffic?model=route-segments",
            "/traffic",
        ),
        *("/lineage?model=route-segments", "/lineage?prediction=abc", "/lineage?prediction=abc&model=route-segments"),
        *("/lineage/events", f"/remains?sha256={'a' * 64}", "/features/aircraft_profile"),
    ],
)
def test_what_is_anothers_or_everybodys_is_refused(idle: Control, path: str) -> None:
    answer = ask(idle, CARE, path)
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"]
    assert ask(idle, OPERATOR, path).status_code != 403


def test_a_bill_is_shown_to_its_team(control: Control) -> None:
    from control_process import made_tick

    control.post("/ticks", made_tick(START).model_dump_json())
    everything = ask(control, OPERATOR, "/lines").json()
    teams = {line["team"] for line in everything}
    for team in teams - {"platform"}:
        user = User(name="member", team=team, roles=("viewer",))
        own = ask(control, user, "/lines").json()
        assert own == [line for line in everything if line["team"] == team]
        assert ask(control, user, "/cost").json()["total_nanousd"] == sum(line["cost_nanousd"] for line in own)
    assert ask(control, User(name="x", team="nobody", roles=("viewer",)), "/lines").json() == []


def test_a_score_is_of_the_teams_own_models(idle: Control) -> None:
    assert [m["model"] for m in ask(idle, MAINTENANCE, "/score").json()["models"]] == ["aircraft-reliability"]
    assert "aircraft-reliability" in ask(idle, MAINTENANCE, "/").text
    assert "route-segments" not in ask(idle, MAINTENANCE, "/").text


def test_budgets_are_listed_for_ones_own_team(idle: Control) -> None:
    assert [one["team"] for one in ask(idle, CARE, "/budgets").json()] == ["customer-care"]
    assert len(ask(idle, OPERATOR, "/budgets").json()) > 1


def test_quotas_and_shares_are_told_of_ones_own_team(control: Control, folder: LabFolder) -> None:
    from control_process import made_tick

    control.post("/ticks", made_tick(START).model_dump_json())
    asked = ask(control, OPERATOR, "/quotas").json()["requests"]
    assert {team for team, count in asked.items() if count} == {"operations"}
    assert ask(control, REVENUE, "/quotas").json() == {"requests": {"revenue": 0}, "closed": {}}
    feed = ReleaseFeed(
        sequence=1,
        releases=(),
        shares={"online": {"operations": 2, "revenue": 1}, "own": {"operations": 1}},
        closed={"operations": "its quota is 5"},
    )
    shown = seen("revenue").feed(feed)
    assert (shown.sequence, shown.shares, shown.closed) == (1, {"online": {"revenue": 1}}, {})
    assert seen("platform").feed(feed) == feed


def test_a_correction_is_not_for_a_teams_own_approver(idle: Control) -> None:
    wanted = {"line": "x", "amount_nanousd": 0, "reason": "not ours"}
    answer = ask(idle, REVENUE, "/corrections", "POST", wanted)
    assert answer.status_code == 403
    assert "every team" in answer.json()["error"]


def view_of(control: Control, name: str, features: list[str], rows: dict[str, list[float]]) -> None:
    content = {
        "format": "archlab/view-snapshot/v1",
        "view": name,
        "join_keys": ["tailnum"],
        "features": features,
        "rows": rows,
    }
    raw = json.dumps(content).encode()
    digest = hashlib.sha256(raw).hexdigest()
    blobs = control.folder.snapshots / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / f"{digest}.json").write_bytes(raw)
    made = {
        "view": name,
        "sha256": digest,
        "path": f"blobs/{digest}.json",
        "rows": len(rows),
        "materialized": "2013-12-02T08:00:00Z",
    }
    control.post("/snapshots", {"business_time": "2013-12-02T08:00:00Z", "views": [made]})


def granting(team: str, view: str, *without: str) -> dict[str, Any]:
    return {"grant": {"team": team, "may": "read", "view": view, "without": list(without)}, "reason": "seat maps"}


def test_a_view_is_read_by_its_team_and_as_far_as_granted(control: Control, folder: LabFolder) -> None:
    view_of(control, "aircraft_profile", ["profile_seats", "profile_age"], {"N1": [180.0, 12.0], "N2": [70.0, 3.0]})
    path = "/features/aircraft_profile"
    assert ask(control, MAINTENANCE, path).json()["values"] == {"N1": [180.0, 12.0], "N2": [70.0, 3.0]}
    assert ask(control, MAINTENANCE, f"{path}?key=N2&columns=profile_age").json()["values"] == {"N2": [3.0]}
    assert ask(control, REVENUE, path).status_code == 403
    assert ask(control, REVENUE, "/features").json() == []
    assert ask(control, REVENUE, "/snapshots").json()["views"] == []
    scenario = json.loads(folder.scenario.read_text())
    scenario["grants"].append(granting("revenue", "aircraft_profile", "profile_age")["grant"])
    folder.scenario.write_text(json.dumps(scenario))
    shown = ask(control, REVENUE, path).json()
    assert (shown["columns"], shown["hidden"], shown["values"]["N1"]) == (["profile_seats"], ["profile_age"], [180.0])
    refused = ask(control, REVENUE, f"{path}?columns=profile_seats,profile_age")
    assert refused.status_code == 403
    assert "leaves out profile_age" in refused.json()["error"]
    assert ask(control, REVENUE, f"{path}?columns=none").status_code == 404


def test_a_view_that_was_tampered_with_is_not_shown(control: Control) -> None:
    view_of(control, "weather", ["temp"], {"JFK": [1.0]})
    for blob in (control.folder.snapshots / "blobs").iterdir():
        blob.write_text(blob.read_text().replace("1.0", "2.0"))
    assert ask(control, MAINTENANCE, "/features/weather").status_code == 503


def test_a_grant_is_decided_by_the_owner_and_on_record(control: Control, folder: LabFolder) -> None:
    publish(folder)
    wanted = {"grant": {"team": "revenue", "may": "call", "model": "missed-connection"}, "reason": "fares"}
    for user in (REVENUE, CARE):
        answer = ask(control, user, "/grants", "POST", wanted)
        assert answer.status_code == 403
        assert "access/granted_by_owner" in answer.json()["error"]
    given = ask(control, LEAD, "/grants", "POST", wanted)
    assert given.status_code == 200, given.text
    (*_, last) = ask(control, OPERATOR, "/decisions").json()
    assert given.json()["decision"] == last["id"]
    assert (last["query"]["action"], last["query"]["resource"]["team"]) == ("access/grant", "customer-care")
    assert last["query"]["evidence"] == {"team": "revenue", "may": "call", "without": [], "reason": "fares"}
    assert ask(control, LEAD, "/grants", "DELETE", wanted).status_code == 200
    own = {"grant": {"team": "customer-care", "may": "call", "model": "missed-connection"}}
    assert ask(control, LEAD, "/grants", "POST", own).status_code == 403
    unknown = {"grant": {"team": "none", "may": "call", "model": "missed-connection"}}
    assert ask(control, LEAD, "/grants", "POST", unknown).status_code == 404


def test_without_rules_nothing_is_granted(control: Control) -> None:
    wanted = {"grant": {"team": "revenue", "may": "call", "model": "missed-connection"}}
    assert ask(control, OPERATOR, "/grants", "POST", wanted).status_code == 403


def test_grants_are_told_to_those_whom_they_concern(idle: Control) -> None:
    assert {g["team"] for g in ask(idle, MAINTENANCE, "/grants").json()} == {"operations", "customer-care"}
    assert all("customer-care" in (g["team"], g["owner"]) for g in ask(idle, CARE, "/grants").json())
    assert len(ask(idle, OPERATOR, "/grants").json()) > len(ask(idle, CARE, "/grants").json())
