"""One way to answer every question, worked out by other means than the truths.

Written against evidence and variant, never against a seed. Plain functions do the sums by hand; generators yield
commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from archlab.plan.postures import START_S
from archlab.spec.grading import Evidence
from archlab.spec.regions import Regions
from archlab.spec.scenario import Variant

Script = Generator[str, Evidence, Any]

PREPARE = ("archlab clock advance 1d",)
MODELS = ("departure-delay", "airport-congestion", "flight-time", "aircraft-reliability")
RUNNING = ("warm-standby", "active-active")


def _pair(evidence: Evidence) -> Regions:
    assert evidence.scenario.regions is not None
    return evidence.scenario.regions


def _tier(evidence: Evidence, name: str) -> Any:
    return next(posture for tier, posture in _pair(evidence).tiers.items() if tier.value == name)


def _lossless(evidence: Evidence) -> bool:
    """Whether a failover gives up nothing: rows wait for west, and files lie there."""
    return _tier(evidence, "critical").replication.value == "sync" and _filed(evidence)


def _filed(evidence: Evidence) -> bool:
    """Whether the files of versions are in the second region, and not in an archive alone."""
    pair = _pair(evidence)
    tier = next(tier.value for part, tier in pair.parts.items() if part.value == "artifacts")
    return str(_tier(evidence, tier).posture.value) != "backup-only"


def _nothing_to_lose() -> Script:
    """Rows and files of the first region are in the second one too."""
    yield "archlab dr set critical replication sync"
    yield "archlab dr assign artifacts critical"
    yield "archlab dr copy"


def _core_usd(evidence: Evidence, resource: str) -> float:
    """Of a core for 30 days."""
    price = next(p for p in evidence.prices.prices if p.resource.value == resource)
    return price.nanousd * 1000 / price.per * 30 * 24 * 3600 / 1e9


def how_many_failures(evidence: Evidence, variant: Variant) -> str:
    """Waiting for a row of n is waiting for one of n - 1 and a check more, or all of it again."""
    blip, days = float(variant.chosen["blip-percent"]) / 100, float(variant.chosen["calm-days"])
    waiting, names = 0.0, ("two", "three", "four", "five", "six", "seven")
    for failures in range(1, 8):
        waiting = (waiting + 1) / blip
        if failures >= 2 and waiting * _tier(evidence, "critical").check_every_ms / 1000 >= days * 86400:
            return names[failures - 2]
    return "seven"


def who_still_answers(evidence: Evidence, _variant: Variant) -> Script:
    """Whose tier runs servers in the second region, where there are files to serve; and what is in no region."""
    pair = _pair(evidence)
    works = [m for m in MODELS if _filed(evidence) and _tier(evidence, pair.models[m].value).posture.value in RUNNING]
    works.append("score")
    yield f"archlab answer who-still-answers {','.join(works)}"
    yield "archlab dr kill east"
    yield "archlab dr probe"
    return works


def first_move(evidence: Evidence, variant: Variant) -> str:
    """Is the primary there, and does it wait for somebody?"""
    event, waits = str(variant.chosen["event"]), _tier(evidence, "critical").replication.value == "sync"
    if "deleted" in event:
        return "restore"
    if "release" in event:
        return "roll-back"
    if event.startswith("East"):
        return "failover" if waits else "failover-accepting"
    return "isolate" if waits else "nothing"


def by_itself(evidence: Evidence, _variant: Variant) -> Script:
    """A machine gives nothing up that was acknowledged, rows or files."""
    forecast = "taken-over" if _lossless(evidence) else "nothing"
    yield f"archlab answer by-itself {forecast}"
    yield "archlab dr set critical promotion automatic"
    yield "sleep 3"
    yield "archlab dr kill east && sleep 27"
    return [forecast]


def rto_from_fault(evidence: Evidence, _variant: Variant) -> Script:
    """Notice, decide, carry out; what may be lacking is accepted, as the question has it."""
    yield "archlab dr kill east"
    after = yield "archlab dr failover --accept-data-loss"
    assert after.regions is not None
    critical = _tier(after, "critical")
    noticed = critical.check_every_ms * critical.failures_to_detect / 1000
    return noticed + _pair(after).decision_s + sum(after.regions.runbooks[-1].seconds.values())


def writes_again(_evidence: Evidence, _variant: Variant) -> Script:
    """Leaves west out."""
    yield "archlab dr mend"
    yield "archlab dr failback || true"
    yield "archlab dr set critical replication sync"
    yield "archlab dr cut"
    yield "archlab dr isolate west"


def gave_up_sync(_evidence: Evidence, _variant: Variant) -> Script:
    """Changes the setting while nothing can be changed."""
    yield "archlab dr set critical replication sync"
    yield "archlab dr cut"
    yield "archlab dr set critical replication async"


def failed_over_for_a_line(_evidence: Evidence, _variant: Variant) -> Script:
    """Takes a cut line for a dead region."""
    yield "archlab dr mend"
    yield from _nothing_to_lose()
    yield "archlab dr cut"
    yield "archlab dr failover"


def back_on_two_legs(_evidence: Evidence, _variant: Variant) -> Script:
    """Waits for both before the fault, and goes back after it."""
    yield "archlab dr failback || true"
    yield from _nothing_to_lose()
    yield "archlab dr kill east"
    yield "archlab dr failover"
    yield "archlab dr failback"


def accepted_a_loss(_evidence: Evidence, _variant: Variant) -> Script:
    """Asynchronous, and accepts what comes of it."""
    yield "archlab dr set critical replication async"
    yield "archlab dr kill east"
    yield "archlab dr failover --accept-data-loss"
    yield "archlab dr failback"


def one_leg(_evidence: Evidence, _variant: Variant) -> Script:
    """Stops when callers are content."""
    yield from _nothing_to_lose()
    yield "archlab dr kill east"
    yield "archlab dr failover"


def what_is_lost(_evidence: Evidence, variant: Variant) -> Script:
    """What counts before it is there can be missing: as long as nothing came through."""
    drill, replication = str(variant.chosen["drill"]), str(variant.chosen["drill-replication"])
    forecast = "nothing" if replication == "sync" else "longer" if drill.startswith("partition") else "moments"
    yield f"archlab answer what-is-lost {forecast}"
    yield f"archlab drill run {drill} --replication {replication} --latency 100 --accept-data-loss || true"
    return [forecast]


def never_restored(_evidence: Evidence, variant: Variant) -> Script:
    """Who has tried knows which one to take."""
    verified = str(variant.chosen["backup-check"]).startswith("with ")
    forecast = "older" if verified else "lost"
    yield f"archlab answer never-restored {forecast}"
    flag = " --verify-backups" if verified else ""
    yield f"archlab drill run backup-that-does-not-restore{flag} || true"
    return [forecast]


def _missed_usd(evidence: Evidence, model: str) -> float:
    """A day without answers."""
    score = next(s for s in evidence.daily[-1].models if s.model == model)
    caller = evidence.scenario.model(model).caller
    return score.value_nanousd / 1e9 - score.requests * caller.represents * caller.value.late / 1e9


def worth_first(evidence: Evidence, _variant: Variant) -> list[str]:
    """A day is as good as an hour for an order."""
    return sorted(MODELS, key=lambda model: -_missed_usd(evidence, model))


def _critical_models(evidence: Evidence) -> list[str]:
    return [m for m in MODELS if _pair(evidence).models[m].value == "critical"]


def cheapest_for_promise(evidence: Evidence, variant: Variant) -> str:
    """From the cheapest on: nothing, a database, servers too; a second active region costs what a warm one does."""
    answers_s, loss_s = float(variant.chosen["promise-answers-s"]), float(variant.chosen["promise-loss-s"])
    tier, pair = _tier(evidence, "critical"), _pair(evidence)
    noticed = tier.check_every_ms * tier.failures_to_detect / 1000
    decided = pair.decision_s if tier.promotion.value == "manual" else 0
    lag = 0.0 if tier.replication.value == "sync" else pair.latency_ms / 1000
    started = noticed + decided + START_S
    for posture, answers, lost in (
        ("backup-only", started, float(tier.backup_every_s)),
        ("pilot-light", started, lag),
        ("warm-standby", noticed, lag),
        ("active-active", 0.0, lag),
    ):
        if answers <= answers_s and lost <= loss_s:
            return posture
    return "none"


def how_many_losses(evidence: Evidence, _variant: Variant) -> float:
    """Servers, registry and files stand by; the database is there in both."""
    pair, models = _pair(evidence), _critical_models(evidence)
    base = next(p.base_millicores for p in evidence.scenario.pools if p.name == "online")
    servers = sum(evidence.scenario.model(m).cpu_millicores for m in models) + base
    parts = sum(cores for part, cores in pair.millicores.items() if pair.parts[part].value == "critical")
    online, platform = _core_usd(evidence, "online_cpu"), _core_usd(evidence, "platform_cpu")
    year = (servers * online + parts * platform) / 1000 * 365 / 30
    second = sum(_missed_usd(evidence, m) for m in models) / 86400
    return year / (second * (pair.decision_s + START_S))


def keep_how_many(evidence: Evidence, variant: Variant) -> int:
    """Take backups, the first one just before it begins, until it is noticed."""
    every, noticed = int(_tier(evidence, "critical").backup_every_s), 60 * int(variant.chosen["noticed-after-min"])
    kept, now = 1, every
    while now <= noticed:
        kept, now = kept + 1, now + every
    return kept + (noticed % every > 0)


def what_comes_back(evidence: Evidence, variant: Variant) -> list[str]:
    """Go through the copies of each part until the loss."""
    pair, lost = _pair(evidence), int(variant.chosen["lost-after-s"])
    intervals = [_tier(evidence, pair.parts[part].value).backup_every_s for part in pair.parts if part.value in PARTS]
    copied = min(max(range(0, lost + 1, every)) for every in intervals)
    found = [key for key, at in VERSIONS if at <= copied]
    return found or ["none"]


def promises_in_budget(_evidence: Evidence, variant: Variant) -> Script:
    """Who was promised seconds stands by with rows and files, decided by a machine that can lose nothing."""
    quick = [m for m in MODELS if m in str(variant.chosen["quick-models"])]
    for name in (*quick, "registry", "artifacts"):
        yield f"archlab dr assign {name} critical"
    for name in MODELS:
        if name not in quick:
            yield f"archlab dr assign {name} best-effort"
    yield "archlab dr set critical replication sync"
    yield "archlab dr set critical promotion automatic"
    yield "archlab answer promises-in-budget lab"


PARTS = ("registry", "artifacts")
VERSIONS = (("first", 20), ("second", 130), ("third", 250), ("fourth", 390), ("fifth", 610))


def how_far_apart(_evidence: Evidence, variant: Variant) -> float:
    """What a write may take beyond its own 4 ms is there and back."""
    each_s = 60 * int(variant.chosen["job-minutes"]) / int(variant.chosen["job-writes"])
    return (each_s - 0.004) / 2 * 200_000
