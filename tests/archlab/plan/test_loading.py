from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from archlab.errors import SpecError
from archlab.plan import loading, resolve
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.base import Spec
from archlab.spec.scenario import Mode


class Plain(Spec):
    value: float | str | tuple[int, ...] = 0
    time: timedelta = timedelta()


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_scenario_is_read(path: Path, text: str) -> None:
    path.write_text(text)
    scenario = load_scenario(path)
    assert scenario.model("segments").mode is Mode.BATCH
    assert scenario.model("segments").caller == scenario.model("delay").caller


@pytest.mark.parametrize("path", sorted(scenarios_root().glob("*/scenario.yaml")), ids=lambda p: p.parent.name)
def test_every_shipped_scenario_loads_and_each_choice_of_each_variation_fits(path: Path) -> None:
    resolve.check(load_scenario(path))


@pytest.mark.parametrize(
    ("old", "new", "where", "field", "message"),
    [
        ("deadline_ms: 300", "deadline_ms: -3", "deadline_ms", "models.delay.caller.deadline_ms", "greater than 0"),
        ("minutes: 10", "minutes: soon", "minutes: soon", "minutes", "(found 'soon')"),
        ("minutes: 10", "minuets: 10", "minuets", "minuets", "not permitted"),
        ("level: foundation\n", "", "format:", "level", "required"),
        ("2013-11-04T08:00:00Z", "2013-11-04T08:00:00", "starts", "starts", "needs a zone"),
        ("pool: online", "pool: elsewhere", "format:", "", "pool 'elsewhere', which is not declared"),
    ],
)
def test_a_fault_is_named_by_file_line_and_field(
    path: Path, text: str, old: str, new: str, where: str, field: str, message: str
) -> None:
    changed = text.replace(old, new, 1)
    path.write_text(changed)
    with pytest.raises(SpecError) as caught:
        load_scenario(path)
    faults = [fault for fault in caught.value.message.splitlines() if message in fault]
    assert faults[-1].startswith(f"{path}:{line_of(changed, where)}: {field}")


def test_many_faults_are_reported_at_once_but_not_all(path: Path) -> None:
    path.write_text("format: archlab/scenario/v1\n")
    with pytest.raises(SpecError) as caught:
        load_scenario(path)
    lines = caught.value.message.splitlines()
    assert len(lines) == loading.MAX_FAULTS + 1
    assert lines[-1].endswith("more")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a: [1, 2", ":1: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", ":3: 'a' is given twice"),
        ("- 1\n", "valid dictionary"),
        ("value: !!python/object/apply:os.system [date]\n", "not valid YAML"),
        ("value: &a [*a]\n", "more than 20000 values"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("[" * 5000, "nested too deeply"),
        ("value: \x00\n", "not valid YAML"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_scenario(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_a_bomb_of_anchors_is_refused_before_it_is_built(path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path.write_text("\n".join(levels))
    with pytest.raises(SpecError, match="aliases are expanded"):
        load_scenario(path)


def test_a_file_too_large_missing_or_not_text_is_refused(path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        load_scenario(path)
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_scenario(path)
    path.write_text("#" * (loading.MAX_BYTES + 1))
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        load_scenario(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value: [1, -2, +3, 1_000]", Plain(value=(1, -2, 3, 1000))),
        ("value: 1e3", Plain(value=1000.0)),
        ("value: .5", Plain(value=0.5)),
        ("value: 10:30", Plain(value="10:30")),
        ("time: 10:30:00", Plain(time=timedelta(hours=10, minutes=30))),
        ("time: PT30M", Plain(time=timedelta(minutes=30))),
    ],
)
def test_numbers_and_times_mean_what_they_look_like(text: str, expected: Plain) -> None:
    assert loading.parse(text, Plain, source="x") == expected
