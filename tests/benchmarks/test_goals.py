"""Goals: against the best peer and against the yardsticks."""

from __future__ import annotations

from benchmarks.serving.goals import BEST_PEER, Comparison, compare, summary, table
from benchmarks.serving.rounds import Cell, Results, Round, Spread

SINGLE = Cell("trees", "json", 1, 16)
EVEN = Spread(1.0, 1.0, 1.0)


def rounds(*rates: float) -> list[Round]:
    return [Round(rate, 1.0, 2.0, 1e6 / rate, 0.1) for rate in rates]


def compared(taken: dict[str, list[Round]], cell: Cell = SINGLE) -> dict[str, Comparison]:
    results: Results = {cell: taken}
    return {c.against: c for c in compare(results, "trees", "us", ["bare"], ["one", "two"])}


def test_the_best_peer_is_whoever_was_the_fastest_in_a_round() -> None:
    found = compared({"us": rounds(1000.0, 1000.0), "one": rounds(100.0, 50.0), "two": rounds(80.0, 200.0)})
    assert found[BEST_PEER].rate == Spread(7.5, 5.0, 10.0)
    assert found[BEST_PEER].cpu == Spread(7.5, 5.0, 10.0)
    assert found[BEST_PEER].reached is False
    assert found["two"].reached is None


def test_the_goals_are_eight_times_a_peer_and_most_of_a_bare_application() -> None:
    reached = compared({"us": rounds(850.0), "one": rounds(106.25), "bare": rounds(1000.0)})
    assert (reached[BEST_PEER].reached, reached["bare"].reached) == (True, True)
    missed = compared({"us": rounds(849.0), "one": rounds(106.25), "bare": rounds(1000.0)})
    assert (missed[BEST_PEER].reached, missed["bare"].reached) == (False, False)


def test_without_peers_there_is_no_best_one() -> None:
    assert set(compared({"us": rounds(1.0), "bare": rounds(1.0)})) == {"bare"}


def test_batches_binary_and_the_other_model_have_no_goals() -> None:
    taken = {"us": rounds(1.0), "one": rounds(1.0)}
    for cell in (SINGLE._replace(rows=128), SINGLE._replace(transport="binary"), SINGLE._replace(model="network")):
        assert not compared(taken, cell)


def test_a_line_says_reached_or_missed_for_each_goal_at_sixteen_connections() -> None:
    lines = summary(
        [
            Comparison("one", 16, Spread(3.2, 3.0, 3.5), EVEN, 8.0),
            Comparison("bare", 16, Spread(0.9, 0.8, 1.0), EVEN, 0.85),
            Comparison("bare", 1, EVEN, EVEN, 0.85),
            Comparison("two", 16, EVEN, EVEN),
        ]
    )
    assert [line.partition(",")[0] for line in lines] == [
        "MISSED: 3.20 [3.00",
        "reached: 0.90 [0.80",
    ]


def test_a_table_has_a_line_for_everybody_and_marks_where_somebody_is_absent() -> None:
    lines = table("us", [Comparison("one", 1, EVEN, EVEN, 8.0), Comparison("two", 16, EVEN, EVEN)])
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2:] == [
        "| one | ≥ 8 | 1.00 [1.00, 1.00] **missed** | - | - |",
        "| two |  | - | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |",
    ]
