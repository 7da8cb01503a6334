from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.spec.devices import (
    MIB,
    UNKNOWN_GAIN,
    Code,
    DeclaredDevice,
    DeclaredSlices,
    Device,
    DevicePlan,
    Gain,
    Outcome,
)

GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")
NO_GAIN = Gain(gains=False, basis="measured", because="it walks trees")
TEAMS = ("care", "operations", "revenue")


def whole(name: str, mib: int, device_class: str = "nvidia-l4") -> Device:
    declared = DeclaredDevice(name=name, device_class=device_class, product="NVIDIA L4", memory_mib=mib)
    return inventory([declared], ())[0]


def split(name: str, *profiles: tuple[str, int, int]) -> Device:
    slices = tuple(DeclaredSlices(profile=p, memory_mib=mib, count=count) for p, mib, count in profiles)
    declared = DeclaredDevice(
        name=name, device_class="nvidia-a100-40gb", product="NVIDIA A100", memory_mib=40_960, slices=slices
    )
    return inventory([declared], ())[0]


def need(model: str, mib: int = 512, replicas: int = 1, team: str = "operations", **changes: object) -> Need:
    fields = {"model": model, "team": team, "unit": "online", "replicas": replicas, "memory_bytes": mib * MIB}
    return Need(**{**fields, "gain": GAINS, **changes})  # type: ignore[arg-type]


def spots(plan: DevicePlan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for placed in plan.placements:
        found.setdefault(placed.model, []).append(placed.slice or placed.device)
    return found


def said(plan: DevicePlan, model: str) -> tuple[Outcome, Code, str]:
    explanation = plan.explanation(model)
    assert explanation
    return explanation.outcome, explanation.code, explanation.text


wholes = st.builds(whole, st.just("x"), st.sampled_from([512, 1024, 3000, 24_000]), st.sampled_from(["l4", "t4"]))
splits = st.just(split("x", ("1g.5gb", 4864, 4), ("3g.20gb", 20_096, 1))) | st.just(split("x", ("2g.10gb", 9984, 3)))


@st.composite
def devices(draw: st.DrawFn, most: int = 4) -> list[Device]:
    drawn = draw(st.lists(wholes | splits, max_size=most))
    return [_renamed(device, f"d{number}") for number, device in enumerate(drawn)]


def _renamed(device: Device, name: str) -> Device:
    slices = tuple(s.model_copy(update={"name": f"{name}/{s.name.partition('/')[2]}"}) for s in device.slices)
    return device.model_copy(update={"name": name, "uuid": f"emulated-{name}", "slices": slices})


@st.composite
def needs(draw: st.DrawFn) -> list[Need]:
    count = draw(st.integers(0, 7))
    return [
        Need(
            model=f"m{number}",
            team=draw(st.sampled_from(TEAMS)),
            unit="online",
            replicas=draw(st.integers(1, 3)),
            memory_bytes=draw(st.sampled_from([256, 512, 1000, 6000, 30_000])) * MIB,
            wanted=draw(st.sampled_from(["on", "on", "on", "off", "l4", "1g.5gb", "tpu"])),
            tier=draw(st.integers(0, 2)),
            exclusive=draw(st.booleans()),
            online=draw(st.sampled_from([True, True, False])),
            gain=draw(st.sampled_from([GAINS, GAINS, GAINS, NO_GAIN, UNKNOWN_GAIN])),
        )
        for number in range(count)
    ]


groups = st.sampled_from([[], [frozenset({"care", "revenue"})], [frozenset(TEAMS)]])


@given(asked=needs(), there=devices(), apart=groups)
def test_every_plan_is_allowed(asked: list[Need], there: list[Device], apart: list[frozenset[str]]) -> None:
    plan = place(asked, there, apart)
    by_name = {n.model: n for n in asked}
    cards = {d.name: d for d in there}
    for device in there:
        on = [p for p in plan.placements if p.device == device.name]
        assert max(Counter(p.model for p in on).values(), default=0) <= 1, "two replicas of a model on one card"
        if device.slices:
            sizes = {s.name: s.memory_bytes for s in device.slices}
            assert max(Counter(p.slice for p in on).values(), default=0) <= 1, "a slice is shared"
            assert all(p.memory_bytes <= sizes[p.slice] for p in on)
        else:
            assert sum(p.memory_bytes for p in on) <= device.memory_bytes
            assert len(on) <= 1 or not any(p.exclusive for p in on)
            teams = {p.team for p in on}
            assert all(len(teams & group) <= 1 for group in apart)
    for placed in plan.placements:
        asking, device = by_name[placed.model], cards[placed.device]
        profiles = {s.profile for s in device.slices if s.name == placed.slice}
        assert asking.gain.gains
        assert asking.online
        assert asking.wanted in {"on", device.device_class, *profiles}
        assert placed.memory_bytes == asking.memory_bytes


@given(asked=needs(), there=devices(), apart=groups)
def test_every_model_is_explained_exactly_once(
    asked: list[Need], there: list[Device], apart: list[frozenset[str]]
) -> None:
    plan = place(asked, there, apart)
    assert [e.model for e in plan.explanations] == [n.model for n in asked]
    held = Counter(p.model for p in plan.placements)
    for explanation, asking in zip(plan.explanations, asked, strict=True):
        assert explanation.text.startswith(f"{asking.model} ")
        assert explanation.text.endswith(".")
        assert held[asking.model] == (asking.replicas if explanation.outcome is Outcome.PLACED else 0)
        assert (explanation.code is Code.PLACED) == (explanation.outcome is Outcome.PLACED)
        if asking.wanted != "off" and not asking.gain.gains:
            assert explanation.outcome is Outcome.REFUSED


@given(asked=needs(), there=devices(), apart=groups, order=st.randoms())
def test_the_order_in_which_things_are_named_decides_nothing(
    asked: list[Need], there: list[Device], apart: list[frozenset[str]], order: Random
) -> None:
    first = place(asked, there, apart)
    order.shuffle(asked)
    order.shuffle(there)
    again = place(asked, there, apart)
    assert sorted(first.placements, key=str) == sorted(again.placements, key=str)
    assert sorted(first.explanations, key=str) == sorted(again.explanations, key=str)


@given(asked=needs(), there=devices(), apart=groups, more=devices(most=2))
def test_a_further_device_moves_nobody_and_refuses_nobody(
    asked: list[Need], there: list[Device], apart: list[frozenset[str]], more: list[Device]
) -> None:
    before = place(asked, there, apart)
    added = [_renamed(device, f"a{number}") for number, device in enumerate(more)]
    after = place(asked, [*there, *added], apart, before.placements)
    assert set(before.placements) <= set(after.placements)


@given(asked=needs(), there=devices(), apart=groups)
def test_planning_again_from_what_is_held_changes_no_place(
    asked: list[Need], there: list[Device], apart: list[frozenset[str]]
) -> None:
    first = place(asked, there, apart)
    assert place(asked, there, apart, first.placements).placements == first.placements


def test_the_tightest_place_is_taken() -> None:
    there = [whole("big", 24_000), whole("small", 1_000), split("mig", ("1g.5gb", 4864, 2))]
    assert spots(place([need("a", 900)], there)) == {"a": ["small"]}
    assert spots(place([need("a", 2_000)], there)) == {"a": ["mig/1g.5gb-0"]}
    assert spots(place([need("a", 6_000)], there)) == {"a": ["big"]}
    assert spots(place([need("a", 900, replicas=3)], there)) == {"a": ["small", "mig/1g.5gb-0", "big"]}


def test_lower_tiers_then_larger_needs_are_placed_first() -> None:
    one = [whole("l4-0", 1_000)]
    assert spots(place([need("a", 600), need("b", 600, tier=0)], one)) == {"b": ["l4-0"]}
    assert spots(place([need("a", 500), need("b", 700)], one)) == {"b": ["l4-0"]}


def test_what_is_held_is_not_driven_out_by_a_better_tier() -> None:
    one = [whole("l4-0", 1_000)]
    held = place([need("a", 600), need("b", 600, wanted="off")], one).placements
    plan = place([need("a", 600), need("b", 600, tier=0)], one, held=held)
    assert spots(plan) == {"a": ["l4-0"]}
    assert said(plan, "b")[1] is Code.MEMORY


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (need("b", 700), Code.MEMORY, "it needs 700 MiB and the largest hole on l4-0 is 488 MiB"),
        (need("b", wanted="tpu"), Code.CLASS, "no device is a tpu; there are 1g.5gb, nvidia-a100-40gb, nvidia-l4"),
        (need("b", wanted="1g.5gb"), Code.SLICES, "every slice is taken (mig-0/1g.5gb-0)"),
        (need("b", 100, exclusive=True), Code.EXCLUSIVE, "l4-0 would have to be for one model alone, and a is there"),
        (need("b", 100, team="care"), Code.APART, "team care must not share a device with the team on l4-0"),
        (need("b", gain=NO_GAIN), Code.NO_GAIN, "it gains nothing from a device, because it walks trees"),
        (need("b", gain=UNKNOWN_GAIN), Code.UNMEASURED, "its node support has not been measured yet"),
    ],
)
def test_a_refusal_says_what_stood_in_the_way(asked: Need, code: Code, words: str) -> None:
    there = [whole("l4-0", 1_000), split("mig-0", ("1g.5gb", 4864, 1))]
    others = [need("a", wanted="nvidia-l4", tier=0), need("c", wanted="1g.5gb", tier=0)]
    plan = place([*others, asked], there, [frozenset({"care", "operations"})] if code is Code.APART else [])
    outcome, found, text = said(plan, "b")
    assert (outcome, found) == (Outcome.REFUSED, code)
    assert words in text


def test_replicas_of_one_model_never_share_a_card() -> None:
    two = [whole("l4-0", 24_000), whole("l4-1", 24_000)]
    assert spots(place([need("a", replicas=2)], two)) == {"a": ["l4-0", "l4-1"]}
    plan = place([need("a", replicas=3), need("b", 24_000)], two)
    assert said(plan, "a") == (
        Outcome.REFUSED,
        Code.ANTI_AFFINITY,
        "a stays on the CPU: 1 of its 3 replicas find a place, for the next another replica of it is on l4-1, and"
        " replicas of one model never share a card; it needs 512 MiB and the largest hole on l4-0 is 0 MiB.",
    )
    assert spots(plan) == {"b": ["l4-0"]}, "what a refused model held for a moment is free again"


def test_a_slice_that_is_too_small_names_the_largest() -> None:
    plan = place([need("a", 9_000)], [split("mig-0", ("1g.5gb", 4864, 2))])
    assert said(plan, "a")[1:] == (
        Code.SLICES,
        "a stays on the CPU: it needs 9,000 MiB and the largest free slice has 4,864 MiB.",
    )


def test_slices_of_one_card_keep_teams_apart_but_not_replicas() -> None:
    card = [split("mig-0", ("1g.5gb", 4864, 4))]
    apart = [frozenset({"care", "operations"})]
    assert spots(place([need("a"), need("b", team="care")], card, apart)) == {
        "a": ["mig-0/1g.5gb-0"],
        "b": ["mig-0/1g.5gb-1"],
    }
    assert said(place([need("a", replicas=2)], card), "a")[1] is Code.ANTI_AFFINITY


def test_a_model_that_asks_for_nothing_is_told_whether_it_would_gain() -> None:
    plan = place([need("a", wanted="off"), need("b", wanted="off", gain=NO_GAIN), need("c", online=False)], [])
    assert [e.text for e in plan.explanations] == [
        "a runs on the CPU: no device was asked for; it would gain, because it multiplies matrices.",
        "b runs on the CPU: no device was asked for; it would not gain, because it walks trees.",
        "c holds no device: its answers come from a table. It asks for one again when it is online.",
    ]
    assert {e.outcome for e in plan.explanations} == {Outcome.CPU}


def test_without_a_device_everybody_who_asks_is_refused() -> None:
    outcome, code, text = said(place([need("a")], []), "a")
    assert (outcome, code) == (Outcome.REFUSED, Code.CLASS)
    assert "there is no device" in text


def test_where_a_model_is_says_that_the_device_is_emulated() -> None:
    text = said(place([need("a")], [whole("l4-0", 23_034)]), "a")[2]
    assert "replica 0 on l4-0 (emulated NVIDIA L4, 22,522 MiB left)" in text
    assert "answers no faster" in text
