"""What is right about capacity: where answers are computed, what leaving frees, who gets a device, what is stale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fractions import Fraction

from archlab.spec.devices import NodeSupport
from archlab.spec.grading import Evidence, Truth
from archlab.spec.money import Resource
from archlab.spec.release import Column
from archlab.spec.scenario import Model, Variant
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models.registry_facts import champion_of, columns_of

HALF_HOUR = timedelta(minutes=30)
LEAVING = ("flight-time", "delay-recovery", "airport-congestion")
"""Models that leave the online pool in `leave-the-pool`; its text names them."""
POOL = "online"

NEED_ONLINE_DAY = (
    "This needs one whole business day with all seven models online, as the scenario declares them: advance the clock "
    "before you change modes (archlab reset takes you back)."
)


def half_hourly(evidence: Evidence, _variant: Variant) -> Truth:
    """Which models give the same answers from runs every half hour, for less than their replicas cost."""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return Truth(answer=None, blocked=NEED_ONLINE_DAY)
    moved: list[str] = []
    lines: list[str] = []
    for model in eco.started_online(evidence):
        requests = eco.real_requests(model, eco.row(day, model.name))
        batch = eco.batch_per_day(evidence, model, requests, eco.DAY // HALF_HOUR)
        online = eco.reserved_per_day(evidence, model, eco.ONLINE_AT_START[model.name])
        same = eco.inputs_known_ahead(model) and model.caller.max_age >= HALF_HOUR
        if same and batch < online:
            moved.append(model.name)
        lines.append(
            f"| {model.name} | {model.caller.deadline_ms} | {'yes' if same else 'no'} | {eco.usd(batch):.3f} "
            f"| {eco.usd(online):.3f} |"
        )
    return Truth(answer=moved or ["none"], facts={"table": "\n".join(lines), "moved": ", ".join(moved) or "none"})


def leave_the_pool(evidence: Evidence, _variant: Variant) -> Truth:
    """Whole machines that become free when three models leave, against what was allocated to them."""
    if not eco.full_days(evidence):
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    size = int(evidence.scenario.knobs["machine-millicores"])
    in_pool = [m for m in eco.started_online(evidence) if m.pool == POOL]
    staying = [m for m in in_pool if m.name not in LEAVING]
    before, after = machines(in_pool, size), machines(staying, size)
    per_millicore = eco.DAY_SECONDS * eco.price(evidence, Resource.ONLINE_CPU)
    allocated = 2 * sum(m.cpu_millicores for m in in_pool if m.name in LEAVING)
    freed = 2 * (before - after) * size
    answer = "nothing"
    if freed:
        answer = "less" if freed < allocated else "more" if freed > allocated else "as-much"
    return Truth(
        answer=answer,
        facts={
            "size": size,
            "before": 2 * before,
            "after": 2 * after,
            "held": 2 * sum(m.cpu_millicores for m in in_pool),
            "allocated": allocated,
            "allocated_usd": eco.usd(allocated * per_millicore),
            "freed_usd": eco.usd(freed * per_millicore),
        },
    )


def machines(models: Iterable[Model], size: int) -> int:
    """The fewest machines of `size` millicores that hold one replica of each model; a replica is not split."""
    return _fewest(sorted((m.cpu_millicores for m in models), reverse=True), size, [])


def _fewest(left: Sequence[int], size: int, bins: list[int]) -> int:
    if not left:
        return len(bins)
    need, rest = left[0], left[1:]
    tried = [_fewest(rest, size, [*bins, size - need])]
    for index in {free: i for i, free in enumerate(bins) if free >= need}.values():
        tried.append(_fewest(rest, size, [*bins[:index], bins[index] - need, *bins[index + 1 :]]))
    return min(tried)


def worth_a_slice(evidence: Evidence, _variant: Variant) -> Truth:
    """Which models a device could compute, and earn more than its smallest slice costs."""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return Truth(answer=None, blocked=NEED_ONLINE_DAY)
    slice_day = 24 * 3_600_000 * eco.price(evidence, Resource.DEVICE_SLICE)
    worth: list[str] = []
    lines: list[str] = []
    for model in eco.started_online(evidence):
        support = _support(evidence, model.name)
        if support is None:
            return Truth(answer=None, blocked=f"{model.name} has no champion: archlab promote {model.name} 1")
        value = eco.row(day, model.name).value_nanousd
        if support.gains and value > slice_day:
            worth.append(model.name)
        share = Fraction(support.supported_flops, support.flops) if support.flops else Fraction(0)
        size = next((r.size_bytes for r in evidence.releases if r.model == model.name), 0)
        lines.append(
            f"| {model.name} | {size // 1024} | {support.flops:,} | {float(share):.0%} | {eco.usd(value):.2f} |"
        )
    facts: dict[str, str | int | float] = {
        "table": "\n".join(lines),
        "slice": eco.usd(slice_day),
        "worth": ", ".join(worth) or "none of them",
    }
    return Truth(answer=worth or ["none"], facts=facts)


def _support(evidence: Evidence, model: str) -> NodeSupport | None:
    champion = champion_of(evidence, model)
    tag = champion.tags.get("archlab.device_support") if champion else None
    return NodeSupport.model_validate_json(tag) if tag else None


def missed_run(evidence: Evidence, _variant: Variant) -> Truth:
    """Which callers are served answers that they call stale after one run of a view failed."""
    view = str(evidence.scenario.knobs["missed-view"])
    if view in evidence.overrides.feature_every:
        return Truth(answer=None, blocked=f"You changed how often {view} is renewed: archlab reset, or set it back.")
    every = next(f.every for f in evidence.scenario.features if f.view == view)
    stale: list[str] = []
    lines: list[str] = []
    for model in eco.started_online(evidence):
        facts = champion_of(evidence, model.name)
        if facts is None:
            return Truth(answer=None, blocked=f"{model.name} has no champion: archlab promote {model.name} 1")
        reads = _reads(columns_of(facts), view)
        accepted = max(model.caller.max_age, every)
        if reads and 2 * every > accepted:
            stale.append(model.name)
        lines.append(
            f"| {model.name} | {'yes' if reads else 'no'} | {_span(model.caller.max_age)} | {_span(accepted)} |"
        )
    facts_told: dict[str, str | int | float] = {
        "table": "\n".join(lines),
        "view": view,
        "every": _span(every),
        "oldest": _span(2 * every),
        "stale": ", ".join(stale) or "none of them",
    }
    return Truth(answer=stale or ["none"], facts=facts_told)


def _reads(columns: Iterable[Column], view: str) -> bool:
    return any(column.source == view for column in columns)


def _span(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    return f"{hours:g} h"
