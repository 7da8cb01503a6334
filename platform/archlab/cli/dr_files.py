"""What `archlab dr status` and `archlab dr plan` show of copies of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlab.cli.console import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archlab.lab.copies import Copies
    from archlab.plan.copies import CopyExpectation


def copies_json(kept: Copies) -> dict[str, object]:
    """For programs: every copy, and what is lacking."""
    return {
        "copies": [
            {
                "part": k.part.value,
                "posture": k.posture.value,
                "where": k.where,
                "age_s": k.age_s,
                "records_behind": k.records_behind,
                **k.copy.model_dump(mode="json", exclude={"part"}),
            }
            for k in kept.kept
        ],
        "unserved": {name: [u.model_dump(mode="json") for u in lacking] for name, lacking in kept.unserved.items()},
        "weights_missing": list(kept.weightless),
        "weights_unnamed": list(kept.nameless),
        "shortfall": list(kept.shortfall),
    }


def copies_table(kept: Copies) -> RenderableType:
    """A row for each part: where its copy is and how far behind."""
    rows = [
        (
            k.part.value,
            k.posture.value,
            k.where,
            f"{k.copy.files}",
            f"{k.copy.size_bytes / 1024:,.0f}",
            f"{k.copy.missing}",
            "" if k.records_behind is None else f"{k.records_behind}",
            "never" if k.age_s is None else f"{k.age_s:,.0f} s ago",
            k.copy.error,
        )
        for k in kept.kept
    ]
    columns = ("part", "posture", "copy in", "files", "KiB", "missing", "records behind", "complete", "note")
    return table("Copies of files", columns, rows, right=columns[3:7], wrap=("note",))


def files_table(files: list[CopyExpectation], kept: Copies) -> RenderableType:
    """What copies of files let expect, beside what the stores of this lab measured."""
    from archlab.spec.regions import Standby

    lags = {k.part: k.copy for k in kept.kept}
    rows = [
        (
            o.part.value if o.posture is Standby.BACKUP_ONLY else "",
            f"{o.posture.value}{' *' if o.chosen else ''}",
            seconds(o.rpo_s),
            seconds(o.rto_s),
            seconds(lags[o.part].worst_lag_s) if o.chosen and o.part in lags else "",
            "" if o.measured_rto_s is None else seconds(o.measured_rto_s),
            f"{lags[o.part].copied_bytes / 1024:,.0f}" if o.chosen and o.part in lags else "",
        )
        for o in files
    ]
    columns = ("part", "posture", "RPO", "RTO", "measured: worst lag", "take files", "KiB copied")
    title = "Files: how old what takes over is, how long until it can be used (modelled), and what this lab measured"
    return table(title, columns, rows, right=columns[2:])


def seconds(count: float | None) -> str:
    """A span as it is shown; a dash for none."""
    return "–" if count is None else f"{count:,.2f} s" if count < 10 else f"{count:,.0f} s"
