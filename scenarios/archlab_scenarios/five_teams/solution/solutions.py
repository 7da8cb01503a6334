"""One way to answer every question, worked out by other means than the truths.

Written against evidence and variant, never against a seed. Plain functions do the sums by hand; generators yield
commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Mode, Model, Variant

Script = Generator[str, Evidence, Any]

PREPARE = ("archlab clock advance 1d",)
TEAMS = ("network-planning", "operations", "customer-care", "maintenance", "revenue")
LEADS = {
    "network-planning": "planning-lead",
    "operations": "operations-lead",
    "customer-care": "care-lead",
    "maintenance": "maintenance-lead",
    "revenue": "revenue-lead",
}
MONTH_S = 30 * 24 * 3600
RECORD = {
    "id": "nameless-job",
    "start": "2013-12-02T20:00:00Z",
    "end": "2013-12-02T22:00:00Z",
    "team": "",
    "model": "",
    "mode": "batch",
    "unit": "job",
    "resource": "batch_cpu",
    "kind": "consumed",
    "quantity": 7_200_000,
    "basis": "metered",
}
POST = (
    'eval "$(archlab env)" && curl -sf -H "Authorization: Bearer $MLFLOW_TRACKING_TOKEN" '
    f"-H 'Content-Type: application/json' -d '[{json.dumps(RECORD)}]' "
    '"${MLFLOW_TRACKING_URI%/mlflow}/control/usage"'
)
LINE = (
    "$(archlab cost lines --where kind=unallocated --json | python -c"
    ' \'import json, sys; print(next(x["id"] for x in json.load(sys.stdin) if not x["corrects"]))\')'
)


def _usd_per(evidence: Evidence, resource: str) -> float:
    return next(p.nanousd / p.per for p in evidence.prices.prices if p.resource.value == resource) / 1e9


def _online(evidence: Evidence) -> list[Model]:
    return [m for m in evidence.scenario.models if m.mode is Mode.ONLINE]


def _cores_usd(evidence: Evidence, pools: list[str], replicas: dict[str, int] | None = None) -> dict[str, float]:
    """USD of 30 days by team: models' own cores, and an equal part, in whole millicores, of each server they stand on.

    Args:
        evidence: prices, models, and what a server holds for itself.
        pools: teams with servers of their own.
        replicas: of models that get other numbers of them.
    """
    base = next(p.base_millicores for p in evidence.scenario.pools if p.name == "online")
    least = next(p.min_replicas for p in evidence.scenario.pools if p.name == "online")
    counts = {m.name: (replicas or {}).get(m.name, m.replicas) for m in _online(evidence)}
    spent = dict.fromkeys(TEAMS, 0.0)
    for pool in ("shared", *pools):
        there = [m for m in _online(evidence) if (m.team if m.team in pools else "shared") == pool]
        servers = max([least, *(counts[m.name] for m in there)])
        for place, model in enumerate(there, 1):
            part = base * place // len(there) - base * (place - 1) // len(there)
            cores = counts[model.name] * model.cpu_millicores + servers * part
            spent[model.team] += cores * MONTH_S * _usd_per(evidence, "online_cpu")
    return spent


def _planned_usd(evidence: Evidence, pools: list[str], replicas: dict[str, int] | None = None) -> dict[str, float]:
    """The same, with a run a night of what is answered in batch."""
    spent = _cores_usd(evidence, pools, replicas)
    for model in evidence.scenario.models:
        if model.mode is Mode.BATCH:
            spent[model.team] += 30 * model.batch_cpu_millicore_seconds * _usd_per(evidence, "batch_cpu")
    return spent


def _over_budget(evidence: Evidence, before: dict[str, float], after: dict[str, float]) -> list[str]:
    budgets = {t.name: t.budget_usd or 0 for t in evidence.scenario.teams}
    return [t for t in TEAMS if after[t] > budgets[t] and after[t] > before[t] + 1e-6]


def own_servers_for_whom(evidence: Evidence, _variant: Variant) -> list[str]:
    """Let one after the other out, as long as every budget holds."""
    out: list[str] = []
    for team in ("revenue", "maintenance", "customer-care", "network-planning"):
        before, after = _planned_usd(evidence, out), _planned_usd(evidence, [*out, team])
        if not _over_budget(evidence, before, after):
            out.append(team)
    return out or ["none"]


def _mib(evidence: Evidence, team: str, replicas: dict[str, int]) -> int:
    return sum(64 * replicas.get(m.name, m.replicas) for m in _online(evidence) if m.team == team)


def _refused(evidence: Evidence, pools: list[str], replicas: dict[str, int]) -> tuple[bool, bool]:
    """Whether money, and whether memory, says no."""
    money = _over_budget(evidence, _planned_usd(evidence, []), _planned_usd(evidence, pools, replicas))
    limits = {t.name: (t.quotas.memory_bytes or 0) >> 20 for t in evidence.scenario.teams}
    memory = [t for t in TEAMS if _mib(evidence, t, replicas) > limits[t]]
    return bool(money), bool(memory)


def what_quotas_say(evidence: Evidence, _variant: Variant) -> Script:
    """Price each change by hand; then try each, and take it back."""
    changes: dict[str, tuple[list[str], dict[str, int]]] = {
        "planning-pool": (["network-planning"], {}),
        "maintenance-pool": (["maintenance"], {}),
        "reliability-4": ([], {"aircraft-reliability": 4}),
        "segments-5": ([], {"route-segments": 5}),
    }
    refused = [key for key, (pools, replicas) in changes.items() if any(_refused(evidence, pools, replicas))]
    refused = refused or ["none"]
    yield f"archlab answer what-quotas-say {','.join(refused)}"
    for team in ("network-planning", "maintenance"):
        yield f"archlab isolation use pool --team {team} || true"
        yield f"archlab isolation use none --team {team}"
    for model, count in (("aircraft-reliability", 4), ("route-segments", 5)):
        yield f"archlab set {model} replicas {count} || true"
        yield f"archlab set {model} replicas 2"
    return refused


def whom_to_ask(evidence: Evidence, variant: Variant) -> str:
    """Which of the two objects."""
    wish = {str(variant.chosen["wish-model"]): int(variant.chosen["wish-replicas"])}
    return {(False, False): "nobody", (True, False): "finance", (False, True): "operator", (True, True): "both"}[
        _refused(evidence, [], wish)
    ]


def warned_after_pools(evidence: Evidence, variant: Variant) -> list[str]:
    """Everybody with servers of its own, against its budget."""
    spent = _planned_usd(evidence, list(TEAMS))
    budgets = {t.name: t.budget_usd or 0 for t in evidence.scenario.teams}
    percent = float(variant.chosen["warn-percent"])
    return [t for t in TEAMS if spent[t] / budgets[t] * 100 >= percent] or ["none"]


def what_holds_it(evidence: Evidence, variant: Variant) -> str:
    """Cores of the rush, with and without the limit, against an eleventh of the pool."""
    rate, rows = int(variant.chosen["noise-rate"]), int(variant.chosen["noise-rows"])
    base = next(p.base_millicores for p in evidence.scenario.pools if p.name == "online")
    whole = (sum(m.cpu_millicores * m.replicas for m in _online(evidence)) + 2 * base) / 1000
    each = 0.001 + rows * 0.000025
    if rate * each <= whole / 11:
        return "nothing"
    return "limit" if min(rate, 100) * each <= whole / 11 else "share"


def _asked(evidence: Evidence, team: str) -> int:
    models = {m.name: m for m in evidence.scenario.models if m.team == team}
    return sum(s.requests * models[s.model].caller.represents for s in evidence.daily[0].models if s.model in models)


def quota_that_bites(evidence: Evidence, variant: Variant) -> Script:
    """Who asks all day is stopped in the middle of it; who asks once a day has asked before anybody counts."""
    percent = int(variant.chosen["cut-percent"])
    forecast = str(variant.chosen["cut-often"]) if percent < 100 else "none"
    yield f"archlab answer quota-that-bites {forecast}"
    for name in ("cut-often", "cut-daily"):
        team = str(variant.chosen[name])
        yield f"archlab quota set {team} requests {_asked(evidence, team) * percent // 100}"
    yield "archlab clock advance 1d"
    return [forecast]


def lent_not_raised(_evidence: Evidence, variant: Variant) -> Script:
    """What others leave is enough."""
    yield f"archlab quota set customer-care requests {variant.chosen['tight-quota']}"
    yield "archlab quota borrow on"
    yield "archlab clock advance 1d"


def still_tight(_evidence: Evidence, variant: Variant) -> Script:
    """Lives with it."""
    yield f"archlab quota set customer-care requests {variant.chosen['tight-quota']}"
    yield "archlab clock advance 1d"


def raised_again(_evidence: Evidence, _variant: Variant) -> Script:
    """Takes the easy way."""
    yield "archlab quota set customer-care requests 600000"
    yield "archlab clock advance 1d"


def hold_the_neighbour(_evidence: Evidence, _variant: Variant) -> Script:
    """Nobody knows who it will be, so everybody is held; places cost nothing."""
    design = json.dumps({"teams": {team: {"isolation": "share"} for team in TEAMS}})
    yield f"printf '%s' '{design}' > $ARCHLAB_HOME/design.yaml"
    yield "archlab answer hold-the-neighbour $ARCHLAB_HOME/design.yaml"


def leaving_saves(evidence: Evidence, variant: Variant) -> float:
    """The models' own cores; the servers stay."""
    own = [m for m in _online(evidence) if m.team == variant.chosen["leaver"]]
    return sum(m.cpu_millicores * m.replicas for m in own) * MONTH_S * _usd_per(evidence, "online_cpu")


def outside_offer(evidence: Evidence, variant: Variant) -> str:
    """The offer beside what would be saved, both as parts of what is charged now."""
    charged = _cores_usd(evidence, [])[str(variant.chosen["leaver"])]
    offer = charged * float(variant.chosen["offer-percent"]) / 100
    return "both" if offer < leaving_saves(evidence, variant) else "team-only" if offer < charged else "nobody"


def _shares(evidence: Evidence, rule: str) -> dict[str, float]:
    """USD of the shared cost by team, from the lines."""
    shared = sum(x.cost_nanousd for x in evidence.lines if x.kind.value == "shared") / 1e9
    weights = dict.fromkeys(TEAMS, 1.0)
    if rule == "use":
        weights = {
            t: sum(x.cost_nanousd for x in evidence.lines if (x.team, x.kind.value) == (t, "used")) for t in TEAMS
        }
    if rule == "peak":
        by_day: dict[tuple[str, str], int] = {}
        for x in evidence.lines:
            if x.resource.value == "online_cpu" and x.model:
                by_day[x.team, x.usage_id] = by_day.get((x.team, x.usage_id), 0) + x.quantity
        weights = {t: max(q for (team, _), q in by_day.items() if team == t) for t in TEAMS}
    return {t: shared * weights[t] / sum(weights.values()) for t in TEAMS}


def fair_share(evidence: Evidence, variant: Variant) -> float:
    """The rule is what the cost is caused by."""
    driver = str(variant.chosen["cost-driver"])
    rule = "peak" if "busiest" in driver else "use" if "processor" in driver else "even"
    return _shares(evidence, rule)[str(variant.chosen["split-team"])]


def whose_bill_moves(evidence: Evidence, variant: Variant) -> str:
    """Both splits, team by team."""
    before, after = (_shares(evidence, rule) for rule in str(variant.chosen["rule-change"]).split(" to "))
    moved = max(TEAMS, key=lambda t: abs(after[t] - before[t]))
    return f"{moved}-{'more' if after[moved] > before[moved] else 'less'}"


def never_pays(evidence: Evidence, _variant: Variant) -> list[str]:
    """The best that could have been, against what was paid."""
    models = {m.name: m for m in evidence.scenario.models}
    gain = dict.fromkeys(TEAMS, 0)
    for score in evidence.daily[-1].models:
        caller = models[score.model].caller
        worths = caller.value.model_dump()
        best = max(v for k, v in worths.items() if k in ("true_positive", "true_negative", "right"))
        gain[models[score.model].team] += score.requests * caller.represents * best
        gain[models[score.model].team] -= score.used_nanousd + score.idle_nanousd
    return [t for t in TEAMS if gain[t] < 0] or ["none"]


def dearest_answer(evidence: Evidence, _variant: Variant) -> list[str]:
    """Cost over useful requests of the business."""
    models = {m.name: m for m in evidence.scenario.models}
    spent, answered = dict.fromkeys(TEAMS, 0.0), dict.fromkeys(TEAMS, 0)
    for score in evidence.daily[-1].models:
        model = models[score.model]
        spent[model.team] += score.used_nanousd + score.idle_nanousd
        answered[model.team] += score.on_time * model.caller.represents
    asked = ("revenue", "network-planning", "customer-care", "operations")
    return sorted(asked, key=lambda t: -spent[t] / answered[t])


def one_profile_for_all(_evidence: Evidence, variant: Variant) -> list[str]:
    """Hours of a week that each holds its cores, out of 168."""
    hours = {
        "pool": 168.0,
        "busy-server": 7.0 * int(variant.chosen["busy-hours"]),
        "nightly-run": 7 * 6_000_000 / 4000 / 3600,
        "training": 6.0,
        "test-lab": 5.0 * int(variant.chosen["test-hours"]),
    }
    return [name for name, held in hours.items() if held / 168 > float(variant.chosen["reserved-percent"]) / 100]


def whose_record(_evidence: Evidence, variant: Variant) -> str:
    """First the team, then the model; whose model it is plays no part."""
    team, model = str(variant.chosen["record-team"]), str(variant.chosen["record-model"])
    if team not in TEAMS:
        return "by-team"
    return "by-model" if model == "fare-lab" else team


def job_on_the_bill(_evidence: Evidence, variant: Variant) -> Script:
    """Have the job recorded, then book its line to who ran it."""
    yield POST
    yield f"archlab cost correct {LINE} --team {variant.chosen['job-team']} --reason 'its own job' --as approver"


def written_off(_evidence: Evidence, _variant: Variant) -> Script:
    """Makes the line disappear."""
    yield POST
    yield f"archlab cost correct {LINE} --amount 0 --reason 'nobody knows' --as approver"


def spread_over_all(_evidence: Evidence, _variant: Variant) -> Script:
    """Lets all pay."""
    yield POST
    yield f"archlab cost correct {LINE} --amount 0.03024 --team platform --reason 'nobody knows' --as approver"


def may_it_use(evidence: Evidence, variant: Variant) -> str:
    """Who owns the view, then who has it, then without what."""
    view, column = str(variant.chosen["column"]).split(".")
    team = variant.chosen["user-team"]
    if view not in [v.view for v in evidence.scenario.views]:
        return "everybodys"
    if team == "maintenance":
        return "own"
    given = [g.without for g in evidence.scenario.grants if (g.team, g.view) == (team, view)]
    return "no-grant" if not given else "left-out" if column in given[0] else "granted"


def who_may_lend(evidence: Evidence, variant: Variant) -> list[str]:
    """The owner's lead, and whoever operates the platform."""
    return ["learner", LEADS[evidence.scenario.model(str(variant.chosen["wanted-model"])).team]]


def just_enough(evidence: Evidence, variant: Variant) -> Script:
    """The owner's approver lends it to be asked; what was lent besides is taken back."""
    model = str(variant.chosen["partner-model"])
    lead = LEADS[evidence.scenario.model(model).team]
    yield f"archlab access revoke revenue read {model} --as {lead} || true"
    yield f"archlab access grant revenue call {model} --as {lead} --reason 'fares depend on it'"


def lent_by_operator(_evidence: Evidence, variant: Variant) -> Script:
    """Decides for the owner."""
    yield f"archlab access grant revenue call {variant.chosen['partner-model']} --reason 'fares depend on it'"


def lent_too_much(evidence: Evidence, variant: Variant) -> Script:
    """Lends the files as well."""
    model = str(variant.chosen["partner-model"])
    lead = LEADS[evidence.scenario.model(model).team]
    yield f"archlab access grant revenue read {model} --as {lead} --reason 'to be on the safe side'"


def lent_narrowly(_evidence: Evidence, variant: Variant) -> str:
    """The rule beside this file, with the seed's team and column."""
    text = (Path(__file__).parent / "answers" / "lent-narrowly.rego").read_text()
    text = re.sub(r'barred := "[^"]*"', f'barred := "{variant.chosen["barred-team"]}"', text)
    return re.sub(r'secret := "[^"]*"', f'secret := "{variant.chosen["secret-column"]}"', text)


def barred_from_asking(evidence: Evidence, variant: Variant) -> str:
    """Forgets that asking is open to all."""
    return lent_narrowly(evidence, variant).replace(
        'asked.may == "call"', 'asked.may == "call"\n\tasked.team != barred'
    )


def any_column_will_do(evidence: Evidence, variant: Variant) -> str:
    """Asks only whether something is left out."""
    return lent_narrowly(evidence, variant).replace("not secret in asked.without", "count(asked.without) == 0")


def any_reason_will_do(evidence: Evidence, variant: Variant) -> str:
    """Counts blanks."""
    return lent_narrowly(evidence, variant).replace("\tcount(trim_space(asked.reason)) >= 10\n", "")
