"""Reports of a class and of each learner: one self-contained HTML page each. No script, nothing from elsewhere.

Everything that a learner could have written is escaped; Markdown is rendered with HTML switched off, and the page's
policy lets nothing load.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from markdown_it import MarkdownIt

from archlab.grading import blueprints
from archlab.grading.blueprints import Item, Score
from archlab.grading.classroom import LEAST_LEARNERS, ItemStatistics, Sat
from archlab.grading.content import Pack
from archlab.grading.signing import fingerprint
from archlab.spec.blueprint import Blueprints
from archlab.spec.pack import ExamPack

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light; --ink: #1c2733; --soft: #5b6876; --line: #dde3ea; --back: #f4f6f9; --bar: #3b6fb6;
  --good: #17703f; --mid: #8a5a00; --bad: #ac2018; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.45rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
.sub, .note { color: var(--soft); } .sub { margin: .2rem 0 1.2rem; } .note { font-size: .87rem; }
.card { background: #fff; border: 1px solid var(--line); border-radius: .6rem; padding: .4rem 1rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th { color: var(--soft); font-size: .8rem; font-weight: 600; }
th, td { text-align: left; padding: .42rem .9rem .42rem 0; vertical-align: top; }
tbody tr { border-top: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: inline-block; width: 9rem; height: .65rem; background: #e4e9ef; border-radius: .3rem;
  overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--bar); }
.correct, .strength { color: var(--good); } .partial, .between { color: var(--mid); }
.incorrect, .gap, .doubt { color: var(--bad); } .blocked, .none { color: var(--soft); }
.doubts { border-left: 4px solid var(--bad); } details { margin: .3rem 0; } summary { cursor: pointer; }
a { color: #1f5fbf; } td p { margin: .2rem 0; }
"""
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])


def learner_page(sat: Sat, pack: ExamPack, questions: Pack, known: Blueprints) -> str:
    """One learner's result."""
    if sat.sitting is None:
        return _page(sat.learner, f"{escape(pack.title)} · {escape(sat.file)}", _doubts(sat))
    used, allowed = (span.total_seconds() / 60 for span in (sat.sitting.used, sat.sitting.allowed))
    about = f"{escape(pack.title)} · {escape(sat.seat)} · {sat.sitting.started.wall_time:%d %b %Y %H:%M}Z"
    book = sat.received
    record = (
        f"<p class='note'>Gradebook: {book.check.entries} entries, key {escape(fingerprint(book.about.key))}, "
        f"head {escape(book.check.head)}.</p>"
        if book
        else ""
    )
    summary = f"<p><b>{sat.points:g} of {sat.possible} points</b> in {used:.0f} of {allowed:.0f} minutes.</p>"
    rows = [
        (
            escape(mark.question),
            f"<span class='{mark.verdict or 'none'}'>{str(mark.verdict or 'not answered').replace('_', ' ')}</span>",
            f"{mark.points:g}/{mark.possible}" if mark.counts else "left out",
            _minutes(sat.sitting.spent[mark.question].total_seconds()) if mark.question in sat.sitting.spent else "",
            _markdown(mark.message) + _details(text),
        )
        for mark, text in zip(sat.marks, sat.explanations, strict=True)
    ]  # fmt: skip
    body = [
        _doubts(sat),
        summary,
        _table("Questions", ("Question", "Verdict", "#Points", "#Minutes", "What was seen"), rows),
        _competencies(sat.items, known),
        *_domains([sat.items], questions, known, pack.blueprint),
        record,
    ]
    return _page(sat.learner, about, "".join(body))


def class_page(
    sat: Sequence[Sat],
    statistics: Sequence[ItemStatistics],
    pack: ExamPack,
    questions: Pack,
    known: Blueprints,
    pages: Sequence[str],
    made: datetime,
) -> str:
    """The class; `pages`: file names of the learners' pages, in the same order."""
    rows = [
        (
            f"<a href='{escape(page, quote=True)}'>{escape(s.learner)}</a>",
            escape(s.seat),
            f"{s.points:g}/{s.possible}" if s.marks else "",
            _bar(s.points / s.possible if s.possible else 0),
            f"<span class='doubt'>{len(s.doubts)} to look at</span>" if s.doubts else "",
        )
        for s, page in zip(sat, pages, strict=True)
    ]
    items = [
        (
            escape(i.question),
            str(i.asked),
            _bar(i.share or 0) + f" {i.share or 0:.2f}",
            f"{i.discrimination:+.2f}" if i.discrimination is not None else "–",
            _minutes(i.seconds) if i.seconds is not None else "",
        )
        for i in statistics
    ]
    body = [
        _table("Learners", ("Learner", "Seat", "#Points", "", ""), rows),
        _table("Questions", ("Question", "#Asked", "Difficulty", "#Discrimination", "#Minutes (median)"), items),
        "<p class='note'>Difficulty: mean share of a question's points (1 is easy). Discrimination: correlation of a "
        f"question's points with those of all others; from {LEAST_LEARNERS} learners on. Minutes: since the answer "
        "before, reading of other questions included.</p>",
        *_domains([s.items for s in sat], questions, known, pack.blueprint),
    ]
    return _page(
        pack.title, f"{len(sat)} hand-ins · judged {made:%d %b %Y %H:%M}Z by {escape(questions.version)}", "".join(body)
    )


def _doubts(sat: Sat) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in sat.doubts)
    return f"<div class='card doubts'><p class='doubt'><b>To look at</b></p><ul>{lines}</ul></div>" if lines else ""


def _competencies(items: Sequence[Item], known: Blueprints) -> str:
    rows = [
        (escape(f"{name}  {known.competencies[name].name if name in known.competencies else ''}"), *_score(score))
        for name, score in blueprints.by_competency(items).items()
    ]
    return _table("Competencies", ("Competency", "#Tried", "#Points", "", ""), rows)


def _domains(groups: Sequence[Sequence[Item]], questions: Pack, known: Blueprints, only: str) -> list[str]:
    items = [i for group in groups for i in group]
    parts = []
    for exam in (only,) if only else blueprints.exams_of(known, items):
        found = blueprints.by_domain(known, exam, items, questions.questions)
        rows = [
            (
                escape(f"{p.id}  {p.domain.name}"),
                escape(f"{p.domain.weight} %" if p.domain.weight else ""),
                *(_score(p.score) if p.here else ("", "", "<span class='none'>not in this scenario</span>", "")),
            )
            for p in found
        ]
        title = f"{exam}: {known.exams[exam].title}, as of {known.as_of}"
        parts.append(_table(title, ("Domain", "#Weight", "#Tried", "#Points", "", ""), rows))
    parts.append(
        "<p class='note'>Domains show what was practised here. They are no forecast of an exam's result: nobody "
        "measured how one leads to the other.</p>"
    )
    return parts


def _score(score: Score) -> tuple[str, str, str, str]:
    standing = score.standing
    return (
        f"{score.answered} of {len(score.items)}",
        f"{score.points:g}/{score.possible:g}",
        _bar(score.points / score.possible if score.possible else 0),
        f"<span class='{standing.replace(' ', '-')}'>{standing}</span>",
    )


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A head that begins with # is a column of numbers; cells are HTML already."""
    kinds = [" class='n'" if head.startswith("#") else "" for head in heads]
    top = "".join(f"<th{k}>{escape(h.removeprefix('#'))}</th>" for k, h in zip(kinds, heads, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>" for row in rows
    )
    return (
        f"<h2>{escape(title)}</h2><div class='card'><table><thead><tr>{top}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


def _page(title: str, about: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{escape(title)}</title>
<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p class="sub">{about}</p>{body}</main></body></html>
"""


def _details(text: str) -> str:
    return f"<details><summary>explanation</summary>{_markdown(text)}</details>" if text else ""


def _markdown(text: str) -> str:
    rendered: str = _MARKDOWN.render(text)
    return rendered


def _bar(share: float) -> str:
    return f"<span class='bar'><i style='width:{100 * min(max(share, 0), 1):.0f}%'></i></span>"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
