"""The pages: all figures are there, nothing is loaded from elsewhere, nothing in a report is markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archlab.cli import _app
from archlab.drills import page, records, trend
from archlab.spec.drill import DrillReport, Event, Verdict
from drill_reports import BEGAN, FAULT, attempts, measured, report

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.named: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.named += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def assert_self_contained(text: str) -> None:
    found = Tags(text)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(found.tags)
    assert not {"src", "href", "xlink:href", "onload", "onclick"} & set(found.named)
    assert "http" not in text.replace("http-503", ""), "no address of anything"
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_tells_the_whole_drill() -> None:
    seen = measured(lost=(3, 77), rpo_s=3.7, acknowledged=80)
    made = page.render(
        "20261126T120000-kill-region", report(seen, verdict=Verdict.RED, reasons=("RPO 3.70 s",)), attempts()
    )
    assert_self_contained(made)
    text = " ".join(" ".join(Tags(made).text).split())
    for words in (
        "Callers could not rely on writes for 1.00 s (5 s allowed).",
        "2 of 80 acknowledged writes are missing: the last 3.70 s before the fault are incomplete.",
        "RPO 3.70 s",
        "the probe’s, back from the fault",
        "3 at -3.70 s",
        "77 at +3.70 s",
        "First good answer",
        "http-503 90",
        "Detection took 0.60 of 1.00 s (60 %)",
    ):
        assert words in text
    assert Tags(made).tags.count("svg") == 2


def test_nothing_in_a_report_becomes_markup() -> None:
    event = Event(name=EVIL, at=FAULT + 1, detail=EVIL)
    seen = measured(errors={EVIL: 1}, fault=EVIL)
    evil = report(seen, title=EVIL, reasons=(EVIL,), verdict=Verdict.RED)
    evil = evil.model_copy(update={"events": (event, *evil.events), "faults": (event,)})
    for made in (page.render(EVIL, evil, attempts()), trend.render({EVIL: evil})):
        assert "<script" not in made
        assert_self_contained(made)


def test_a_void_drill_and_one_without_a_ledger_have_pages_too() -> None:
    void = page.render("x", report(None, verdict=Verdict.VOID, reasons=("it was broken off",)), ())
    assert "This drill says nothing: it was broken off." in void
    assert "svg" not in Tags(void).tags
    bare = page.render("x", report(measured(lost=(3,), rpo_s=1.0)), ())
    assert "ledger is not beside the report" in bare
    assert "1 of 500 acknowledged writes" in " ".join(bare.split())


def test_only_so_many_lost_writes_are_listed() -> None:
    seen = measured(lost=tuple(n for n in range(90) if not 40 <= n < 50), rpo_s=4.0)
    made = page.render("x", report(seen), attempts())
    assert made.count('title="acknowledged') == page.LISTED
    assert f"the oldest {page.LISTED}:" in made
    assert page.lost_writes(report(seen), attempts(), FAULT)[0] == (0, -4.0)


def kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, DrillReport]:
    monkeypatch.setenv("ARCHLAB_HOME", str(place))
    never = measured(rto_s=None, rpo_s=None, lost=None)
    for day, seen in enumerate((measured(), measured(rto_s=3.0, lost=(1,), rpo_s=0.2), never, None)):
        began = BEGAN.replace(day=20 + day)
        verdict = Verdict.VOID if seen is None else Verdict.RED if seen.rto_s is None else Verdict.GREEN
        folder = records.new("kill-region", began)
        records.keep(folder, report(seen, began=began, verdict=verdict))
        (folder / records.LEDGER).write_text("".join(a.model_dump_json() + "\n" for a in attempts()))
    return records.all_reports()


def test_a_trend_sums_up_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = kept(tmp_path, monkeypatch)
    (course,) = trend.courses(reports)
    assert [course.ended(v) for v in Verdict] == [2, 1, 1]
    assert (course.median_rto_s, course.last_rto_s, course.worst_rpo_s, course.most_lost) == (2.0, None, 0.2, 1)
    drawn = trend.chart(course)
    assert [dot.never for dot in drawn.dots] == [False, False, True]
    assert drawn.dots[0].y > drawn.dots[1].y > drawn.dots[2].y, "longer is higher, never is highest"
    made = trend.render(reports)
    assert_self_contained(made)
    assert made.count("<tr>") == 5


def test_pages_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path, monkeypatch)
    runner, single, all_ = CliRunner(), tmp_path / "drill.html", tmp_path / "trend.html"
    result = runner.invoke(_app(), ["drill", "report", "20261120T120000-kill-region", "--html", str(single)])
    assert result.exit_code == 0, result.output
    assert Tags(single.read_text()).tags.count("svg") == 2
    assert runner.invoke(_app(), ["drill", "trend", "--html", str(all_)]).exit_code == 0
    assert "Drills over time" in all_.read_text()
    (row,) = json.loads(runner.invoke(_app(), ["drill", "trend", "--json"]).output)
    assert (row["green"], row["red"], row["void"], row["median_rto_s"]) == (2, 1, 1, 2.0)
    assert "never" in runner.invoke(_app(), ["drill", "trend"]).output
