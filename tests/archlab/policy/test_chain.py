from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from archlab.policy import chain
from archlab.spec.policy import Decision, DecisionRecord, Query

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def records(query: Query, count: int) -> list[DecisionRecord]:
    found: list[DecisionRecord] = []
    for n in range(count):
        decision = Decision(allow=bool(n % 2), reasons=(), engine="test", bundle_digest="")
        previous = found[-1] if found else None
        found.append(chain.append(previous, query, decision, wall_time=NOW, business_time=NOW))
    return found


def test_a_chain_that_nobody_touched_is_sound(good: Query) -> None:
    found = records(good, 4)
    assert chain.verify(found) == []
    assert [record.sequence for record in found] == [1, 2, 3, 4]
    assert found[0].previous == chain.GENESIS
    assert len({record.id for record in found}) == 4
    again = [DecisionRecord.model_validate_json(record.model_dump_json()) for record in found]
    assert chain.verify(again) == []


def test_a_changed_record_is_found(good: Query) -> None:
    found = records(good, 3)
    allowed = found[0].decision.model_copy(update={"allow": True})
    found[0] = found[0].model_copy(update={"decision": allowed})
    assert chain.verify(found) == ["record 1 was changed after it was written"]


def test_a_record_changed_with_its_hash_breaks_the_next(good: Query) -> None:
    found = records(good, 3)
    forged = found[1].model_copy(update={"business_time": datetime(2013, 1, 1, tzinfo=UTC)})
    found[1] = forged.model_copy(update={"hash": chain.record_hash(forged)})
    assert chain.verify(found) == ["record 3 does not follow from the record before it"]


def test_a_dropped_or_swapped_record_is_found(good: Query) -> None:
    found = records(good, 4)
    assert chain.verify([found[0], found[2], found[3]])
    assert chain.verify([found[1], found[0], found[2], found[3]])
    assert chain.verify(found[1:])


def test_another_query_is_found(good: Query) -> None:
    found = records(good, 1)
    other = found[0].model_copy(update={"query": good.model_copy(update={"action": "access/write"})})
    assert "record 1: the query is not the one that was decided" in chain.verify([other])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(value=st.dictionaries(st.text(), VALUES, max_size=4))
def test_canonical_json_does_not_depend_on_the_order(value: dict[str, object]) -> None:
    assert chain.sha256(value) == chain.sha256(dict(reversed(value.items())))
