"""Files of regions: real stores, a real line between them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.errors import UnavailableError, UserError
from archlab.files import write_model
from archlab.recovery.copying import arrivals
from archlab.recovery.copying.archiving import Archive
from archlab.recovery.copying.catalogue import RELEASES, SNAPSHOTS, Catalogue, below
from archlab.recovery.copying.exporting import Records
from archlab.recovery.copying.fetching import Source
from archlab.recovery.copying.standing import losses, older_views, unserved
from archlab.recovery.shaping import Shape
from archlab.spec.regions import Copying, Part, PartCopy, RegionFiles, Standby
from archlab.spec.release import Column, Release, ReleaseFeed, ReleaseKind
from gated_registry import wait_for
from two_stores import EAST, START, WEST, Stores, stores

pytestmark = pytest.mark.slow
ARTIFACT = "registry/artifacts/1/models/m-1/artifacts/model.onnx"


@pytest.fixture
def both(place: Path) -> Iterator[Stores]:
    with stores(place) as made:
        yield made


def test_what_is_written_in_one_region_arrives_in_the_other_and_what_goes_there_goes(both: Stores) -> None:
    alone = both.write(WEST, both.blob(b"only west has it"), b"only west has it")
    written = both.write(EAST, ARTIFACT, b"weights")
    wait_for(both.arrived(ARTIFACT, b"weights"), "the file")
    assert (both.files(WEST) / ARTIFACT).stat().st_mtime == written.stat().st_mtime
    wait_for(lambda: both.state(Part.ARTIFACTS).complete_at is not None, "a complete round")
    both.write(EAST, ARTIFACT, b"other weights")
    wait_for(both.arrived(ARTIFACT, b"other weights"), "the new content")
    wait_for(lambda: both.state(Part.ARTIFACTS).worst_lag_s > 0, "a lag that was measured")
    written.unlink()
    wait_for(lambda: not (both.files(WEST) / ARTIFACT).exists(), "its end")
    assert alone.exists(), "what the primary never had is nobody's to delete"


def test_a_cut_line_brings_nothing_and_a_mended_one_everything(both: Stores) -> None:
    first = both.blob(b"first")
    both.write(EAST, first, b"first")
    wait_for(both.arrived(first, b"first"), "the first file")
    both.shape(Shape(cut=True))
    second = both.blob(b"second")
    both.write(EAST, second, b"second")
    asked = Source(EAST, both.ports[f"line-{WEST}"], both.root / "password", silence_s=0.5)
    with pytest.raises(UnavailableError, match="east does not answer"):
        asked.listing(Part.ARTIFACTS)
    assert not (both.files(WEST) / second).exists()
    both.shape(Shape())
    wait_for(both.arrived(second, b"second"), "the second file")
    wait_for(lambda: both.state(Part.ARTIFACTS).error == "", "no error")


def test_a_copy_that_was_killed_goes_on_where_it_was_and_is_verified(both: Stores) -> None:
    content = os.urandom(600_000)
    name = both.blob(content)
    both.shape(Shape(bytes_per_s=200_000))
    both.write(EAST, name, content)
    wait_for(lambda: any((both.files(WEST) / "releases" / "blobs").glob(".*.part")), "the beginning")
    (part,) = (both.files(WEST) / "releases" / "blobs").glob(".*.part")
    wait_for(lambda: part.stat().st_size > 100_000, "some of it")
    both.kill(WEST)
    begun = part.stat().st_size
    assert begun < len(content)
    before = both.shape(Shape()).forwarded_bytes
    both.start(WEST)
    wait_for(both.arrived(name, content), "all of it")
    # the line also carries what was on its way when the other end was killed
    assert both.shape(Shape()).forwarded_bytes - before < len(content), "what had arrived was not sent again"


def test_a_file_that_arrives_as_another_is_not_taken(both: Stores) -> None:
    content = b"the right one"
    name = both.blob(content)
    both.kill(WEST)
    both.write(EAST, name, content)
    source = Source(EAST, both.ports[f"line-{WEST}"], both.root / "password")
    wait_for(lambda: bool(source.listing(Part.ARTIFACTS).entries), "the listing")
    (entry,) = source.listing(Part.ARTIFACTS).entries
    part = both.files(WEST) / "releases" / "blobs" / f".{entry.sha256}.{entry.sha256[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"the wrong one"[: entry.size_bytes])
    with pytest.raises(UnavailableError, match="something else than was announced"):
        source.fetch(entry, both.files(WEST))
    assert not (both.files(WEST) / name).exists()
    assert source.fetch(entry, both.files(WEST)) == len(content), "the next try begins anew"
    (both.root / "password").write_text("guessed\n")
    with pytest.raises(UnavailableError, match="401"):
        source.listing(Part.ARTIFACTS)


def test_a_region_follows_orders_as_far_as_files_have_arrived(both: Stores) -> None:
    both.shape(Shape(cut=True))
    order = both.publish(1, ("weather", b"{}"), ("corridor", b"[]"))
    folder = both.files(WEST) / SNAPSHOTS

    def absent() -> tuple[str, ...] | None:
        found = arrivals.manifest(folder)
        return found.absent if found else None

    wait_for(lambda: absent() == ("corridor", "weather"), "the order without its files")
    both.shape(Shape())
    both.write(EAST, f"{SNAPSHOTS}/{order.views[0].path}", b"{}")
    wait_for(lambda: absent() == ("corridor",), "one of the views")
    both.publish(2, ("weather", b"{newer}"), ("corridor", b"[]"))
    wait_for(lambda: (found := arrivals.manifest(folder)) is not None and found.sequence == 2, "the next order")
    found = arrivals.manifest(folder)
    assert found
    assert [view.sha256 for view in found.views] == [order.views[0].sha256], "the older state stays in use"


def test_records_of_control_are_copied_and_counted(both: Stores) -> None:
    both.record("a", "b")
    wait_for(lambda: both.logged(WEST) == ["a", "b"], "the ledger")
    both.record("0")
    wait_for(lambda: both.logged(WEST) == ["a", "b", "0"], "what came later, wherever it sorts")
    wait_for(lambda: both.state(Part.LEDGER).records == 3, "the count")
    assert both.logged(WEST) == both.logged(EAST) == ["a", "b", "0"], "none twice"


def test_a_part_that_becomes_backup_only_is_archived_and_its_copy_given_up(both: Stores) -> None:
    both.write(EAST, ARTIFACT, b"weights")
    wait_for(both.arrived(ARTIFACT, b"weights"), "the copy")
    both.postures[Part.ARTIFACTS] = Standby.BACKUP_ONLY
    both.describe()
    wait_for(lambda: not (both.files(WEST) / ARTIFACT).exists(), "the end of the copy")
    wait_for(lambda: both.state(Part.ARTIFACTS, EAST, archived=True).files == 1, "an archive")
    assert b"weights" not in b"".join(p.read_bytes() for p in (both.root / "archive").rglob("*.sealed"))
    restored = both.root / "restored"
    said = Archive(both.root / "archive", both.root / "key", Part.ARTIFACTS).restore(restored)
    assert "1 files of artifacts" in said
    assert (restored / ARTIFACT).read_bytes() == b"weights"


def test_who_takes_over_keeps_what_the_other_one_gives_up(both: Stores) -> None:
    """The new primary's last look at the old one must not make it delete what that one then gave up."""
    both.postures[Part.ARTIFACTS] = Standby.BACKUP_ONLY
    both.primary, both.raised = WEST, EAST
    both.describe()
    both.write(WEST, ARTIFACT, b"weights")
    wait_for(both.arrived(ARTIFACT, b"weights", EAST), "everything, since it is about to take over")
    both.primary, both.raised = EAST, ""
    both.describe()
    wait_for(lambda: not (both.files(WEST) / ARTIFACT).exists(), "the end of the old primary's copy")
    wait_for(lambda: both.state(Part.ARTIFACTS, EAST, archived=True).files == 1, "an archive of the new one's")
    assert (both.files(EAST) / ARTIFACT).read_bytes() == b"weights"


def _take_over(both: Stores) -> None:
    """East is lost, west takes over."""
    both.kill(EAST)
    both.primary = WEST
    both.describe()


def _come_back(both: Stores) -> None:
    """East follows west until it has everything, and is primary again."""
    both.raised = EAST
    both.describe()
    both.start(EAST)
    wait_for(lambda: both.came(Part.ARTIFACTS, EAST), "a complete round in east")


def test_what_was_deleted_while_the_other_region_was_primary_stays_deleted(both: Stores) -> None:
    kept, newer = both.blob(b"kept"), "registry/artifacts/1/models/m-2/artifacts/model.onnx"
    for name, content in ((ARTIFACT, b"personal data"), (kept, b"kept"), (newer, b"first")):
        both.write(EAST, name, content)
        wait_for(both.arrived(name, content), "the file")
    wait_for(lambda: both.seen(Part.ARTIFACTS, WEST) >= {ARTIFACT, kept, newer}, "a complete round")
    both.shape(Shape(cut=True))
    unsent = both.blob(b"never sent")
    both.write(EAST, unsent, b"never sent")
    both.write(EAST, newer, b"never sent either")
    _take_over(both)
    for name in (ARTIFACT, newer):
        (both.files(WEST) / name).unlink()
    both.shape(Shape())
    _come_back(both)
    wait_for(lambda: not (both.files(EAST) / ARTIFACT).exists(), "the end of what was deleted in west")
    both.primary, both.raised = EAST, ""
    both.describe()
    wait_for(both.arrived(unsent, b"never sent"), "what only the lost region had, in west")
    assert both.arrived(newer, b"never sent either")(), "it is another file than the one that was deleted"
    assert both.arrived(kept, b"kept")()
    for region in (EAST, WEST):
        assert not (both.files(region) / ARTIFACT).exists()


def test_what_is_deleted_and_written_again_is_not_deleted(both: Stores) -> None:
    both.write(EAST, ARTIFACT, b"weights")
    wait_for(lambda: ARTIFACT in both.seen(Part.ARTIFACTS, WEST), "a complete round")
    _take_over(both)
    place = both.files(WEST) / ARTIFACT
    place.unlink()
    both.write(WEST, ARTIFACT, b"weights")
    _come_back(both)
    assert both.arrived(ARTIFACT, b"weights", EAST)()
    assert place.exists()


def test_what_a_region_gave_up_was_not_deleted(both: Stores) -> None:
    both.write(EAST, ARTIFACT, b"weights")
    wait_for(lambda: ARTIFACT in both.seen(Part.ARTIFACTS, WEST), "a complete round")
    both.postures[Part.ARTIFACTS] = Standby.BACKUP_ONLY
    both.describe()
    wait_for(lambda: not (both.files(WEST) / ARTIFACT).exists(), "the end of the copy")
    _take_over(both)
    other = both.blob(b"of west")
    both.write(WEST, other, b"of west")
    _come_back(both)
    wait_for(both.arrived(other, b"of west", EAST), "what west has")
    assert both.arrived(ARTIFACT, b"weights", EAST)(), "nobody deleted it"


def test_a_damaged_archive_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    root = tmp_path / "files"
    catalogue, archive = Catalogue(root), Archive(tmp_path / "archive", tmp_path / "key", Part.ARTIFACTS)
    for content in (b"first", b"second"):
        below(root, ARTIFACT).parent.mkdir(parents=True, exist_ok=True)
        below(root, ARTIFACT).write_bytes(content)
        assert archive.take(EAST, catalogue, keep=5)
    assert archive.take(EAST, catalogue, keep=5) == 0, "nothing is archived twice"
    newest = max((tmp_path / "archive").rglob("*.sealed"))
    newest.write_bytes(newest.read_bytes()[:-1])
    said = archive.restore(tmp_path / "restored")
    assert newest.stem in said
    assert (tmp_path / "restored" / ARTIFACT).read_bytes() == b"first"


def test_a_log_that_was_cut_off_is_taken_up_at_its_last_whole_record(tmp_path: Path) -> None:
    database = tmp_path / "control.db"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE usage (id TEXT PRIMARY KEY)")
        db.execute("CREATE TABLE corrections (sequence INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO usage VALUES ('a'), ('b')")
    root = tmp_path / "files"
    assert Records(database, tmp_path, root).export(Part.LEDGER) == 2
    log = root / "ledger" / "usage.jsonl"
    log.write_bytes(log.read_bytes()[:-4])
    assert Records(database, tmp_path, root).export(Part.LEDGER) == 1
    assert log.read_text() == '{"id": "a"}\n{"id": "b"}\n'


def released(model: str, content: bytes, *views: str) -> Release:
    sha256 = hashlib.sha256(content).hexdigest()
    return Release(
        id=f"{model}:1",
        model=model,
        version="1",
        team="operations",
        kind=ReleaseKind.ONNX,
        pool="online",
        sha256=sha256,
        path=f"blobs/{sha256}",
        size_bytes=len(content),
        decision_id="d1",
        decision_sha256=sha256,
        source_sha256=sha256,
        columns=tuple(Column(name=view, source=view) for view in ("request", *views)),
        keys=(),
        created=START,
        signature="",
    )


def test_what_a_region_could_not_answer_is_known_from_its_files(tmp_path: Path) -> None:
    made = Stores(tmp_path)
    whole, blind, gone = released("whole", b"1", "weather"), released("blind", b"2", "corridor"), released("gone", b"3")
    write_model(made.files(EAST) / RELEASES / "feed.json", ReleaseFeed(sequence=1, releases=(whole, blind, gone)))
    order = made.publish(1, ("weather", b"{}"), ("corridor", b"[]"))
    for content in (b"1", b"2"):
        made.write(WEST, made.blob(content), content)
    made.write(WEST, f"{SNAPSHOTS}/{order.views[0].path}", b"{}")
    orders = (made.files(EAST) / RELEASES, made.files(EAST) / SNAPSHOTS)
    arrivals.obey(made.files(WEST), orders)
    assert {one.model: one.why for one in unserved(made.files(WEST), orders)} == {
        "blind": "its features have not arrived: corridor",
        "gone": f"its weights ({gone.sha256[:12]}…) have not arrived",
    }
    made.write(WEST, f"{SNAPSHOTS}/{order.views[1].path}", b"[]")
    made.write(WEST, made.blob(b"3"), b"3")
    arrivals.obey(made.files(WEST), orders)
    assert unserved(made.files(WEST), orders) == ()
    made.publish(2, ("weather", b"{newer}"), ("corridor", b"[]"))
    arrivals.obey(made.files(WEST), orders)
    assert older_views(made.files(WEST), orders) == ("weather by 1:00:00",)
    assert arrivals.manifest(made.files(WEST) / SNAPSHOTS) != order, "it has seen the newer order"


def test_what_would_be_lacking_is_said_before_a_failover() -> None:
    now = datetime.now(UTC)
    copies = [
        Copying(part=Part.ARTIFACTS, posture=Standby.BACKUP_ONLY, every_s=60, keep=2),
        Copying(part=Part.FEATURES, posture=Standby.WARM_STANDBY, every_s=60, keep=2),
        Copying(part=Part.LEDGER, posture=Standby.BACKUP_ONLY, every_s=60, keep=2),
    ]
    here = RegionFiles(region=WEST, here=(PartCopy(part=Part.FEATURES, missing=2, complete_at=now),))
    archived = RegionFiles(region=EAST, archive=(PartCopy(part=Part.ARTIFACTS, complete_at=now),))
    assert list(losses(tuple(copies), here, archived)) == [
        "of the artifacts there is nothing but an archive of 0 s ago",
        "2 files of the features have not arrived",
    ], "of the ledger it is said otherwise: control has it"
    nothing = RegionFiles(region=EAST)
    assert list(losses(tuple(copies), RegionFiles(region=WEST), nothing)) == [
        "of the artifacts there is no archive yet",
        "the features were never copied",
    ]


@pytest.mark.parametrize("name", ["../password", "releases/blobs/../../store.json", "store.json", "releases/blobs"])
def test_nothing_but_files_of_parts_is_handed_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no file of a region"):
        below(tmp_path, name)
