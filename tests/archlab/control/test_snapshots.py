"""The manifest of feature snapshots: numbered, complete, and never naming a file that is gone."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from archlab.control.snapshots import KEPT
from archlab.spec.release import FeatureSnapshot
from control_process import START, Control


def view(control: Control, name: str, number: int) -> dict[str, Any]:
    content = json.dumps({"view": name, "number": number}).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = control.folder.snapshots / "blobs" / f"{sha256}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    when = START + number * timedelta(minutes=30)
    return {"view": name, "sha256": sha256, "path": f"blobs/{sha256}.json", "rows": 1, "materialized": when.isoformat()}


def publish(control: Control, number: int, *views: dict[str, Any]) -> FeatureSnapshot:
    when = START + number * timedelta(minutes=30)
    body = {"business_time": when.isoformat(), "views": list(views)}
    made = FeatureSnapshot.model_validate(control.post("/snapshots", body))
    assert made == FeatureSnapshot.model_validate_json((control.folder.snapshots / "current.json").read_bytes())
    return made


def test_views_that_are_not_renewed_stay(control: Control) -> None:
    first = publish(control, 0, view(control, "weather", 0), view(control, "route_daily", 0))
    second = publish(control, 1, view(control, "weather", 1))
    assert (first.sequence, second.sequence) == (1, 2)
    assert [(v.view, v.materialized) for v in second.views] == [
        ("route_daily", START),
        ("weather", START + timedelta(minutes=30)),
    ]


def test_only_files_that_no_recent_manifest_names_are_removed(control: Control) -> None:
    ahead = view(control, "weather", 10_000)
    constant = view(control, "route_daily", 0)
    publish(control, 0, constant)
    for number in range(KEPT + 3):
        newest = publish(control, number, view(control, "weather", number))
    kept = {path.name for path in (control.folder.snapshots / "blobs").iterdir()}
    assert {f"{v.sha256}.json" for v in newest.views} <= kept
    assert f"{ahead['sha256']}.json" in kept
    assert len(kept) == KEPT + 2


def test_a_file_that_is_not_there_is_refused(control: Control) -> None:
    absent = view(control, "weather", 0)
    (control.folder.snapshots / absent["path"]).unlink()
    outside = {**absent, "path": "../keys/release.pem"}
    for wrong in (absent, outside):
        with control.client() as client:
            refused = client.post("/snapshots", json={"business_time": START.isoformat(), "views": [wrong]})
        assert refused.status_code == 400
        assert "weather" in refused.json()["error"]


def test_a_file_that_went_down_with_its_region_leaves_the_view_as_it_was(control: Control) -> None:
    (control.folder.root / "regions").mkdir()
    publish(control, 0, view(control, "weather", 0), view(control, "route_daily", 0))
    lost, new = view(control, "weather", 1), view(control, "carrier_daily", 1)
    for one in (lost, new):
        (control.folder.snapshots / one["path"]).unlink()
    body = {"business_time": START.isoformat(), "views": [lost, new]}
    told = FeatureSnapshot.model_validate(control.post("/snapshots", body))
    assert {v.view: v.sha256 for v in told.views}["weather"] == lost["sha256"], "what was made is on record"
    served = FeatureSnapshot.model_validate_json((control.folder.snapshots / "current.json").read_bytes())
    assert (served.sequence, served.absent) == (told.sequence, ("carrier_daily",))
    assert {v.view: v.materialized for v in served.views} == {"weather": START, "route_daily": START}
