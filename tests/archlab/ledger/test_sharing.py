"""What is shared, split among the teams: to the nano-dollar, and differently by each rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from archlab.ledger.sharing import Rule, divided, split
from archlab.spec.money import Basis, Line, LineKind, Resource

START = datetime(2013, 12, 2, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def line(team: str, cost: int, *, model: str = "a-model", kind: str = "used", at: int = 0, quantity: int = 0) -> Line:
    return Line(
        usage_id="1",
        start=START + at * HALF_HOUR,
        end=START + (at + 1) * HALF_HOUR,
        team=team,
        model=model,
        mode="online",
        kind=LineKind(kind),
        resource=Resource.ONLINE_CPU,
        quantity=quantity,
        unit_price_nanousd=1,
        unit_price_per=1,
        cost_nanousd=cost,
        basis=Basis.METERED,
    )


def shared(cost: int) -> Line:
    return line("platform", cost, model="", kind="shared")


lines = st.lists(
    st.builds(
        line,
        st.sampled_from(["care", "operations", "revenue"]),
        st.integers(0, 10**15),
        model=st.sampled_from(["", "a", "b"]),
        kind=st.sampled_from(LineKind),
        at=st.integers(0, 3),
        quantity=st.integers(0, 10**10),
    ),
    max_size=20,
)


@given(lines)
def test_every_rule_adds_up_to_the_bill(bill: list[Line]) -> None:
    found = split(bill)
    total = sum(one.cost_nanousd for one in bill)
    for rule in Rule:
        assert sum(team.total(rule) for team in found.teams) + found.unallocated == total
        assert all(team.shares[rule] >= 0 for team in found.teams)


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
def test_a_share_is_within_one_nano_dollar_of_its_weight(total: int, weights: list[int]) -> None:
    shares = divided(total, weights)
    assert sum(shares) == total
    if any(weights):
        for share, weight in zip(shares, weights, strict=True):
            assert abs(share - total * weight / sum(weights)) <= 1 + total * 1e-15


def test_what_nothing_weighs_is_split_evenly() -> None:
    assert divided(10, [0, 0, 0]) == [3, 3, 4]


def test_rules_differ_where_teams_do() -> None:
    bill = [
        line("care", 900, quantity=1_800_000),
        line("care", 100, kind="idle", at=1, quantity=1_800_000),
        line("operations", 100, quantity=1_800_000),
        line("operations", 900, kind="idle", at=0, quantity=3_600_000),
        shared(1000),
    ]
    care, operations = split(bill).teams
    assert (care.team, care.used, care.idle) == ("care", 900, 100)
    assert [care.shares[rule] for rule in Rule] == [500, 900, 250]
    assert [operations.shares[rule] for rule in Rule] == [500, 100, 750]


def test_shared_cost_without_a_team_is_shown_and_given_to_nobody() -> None:
    found = split([shared(70)])
    assert (found.teams, found.shared, found.unallocated) == ((), 70, 70)
