"""The feed is written by ticks that close teams and by whoever follows the registry, at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from archlab.control import lineage
from archlab.control.feed import Feed
from archlab.control.store import Store
from archlab.settings import LabFolder
from archlab.spec.release import ReleaseFeed

ROUNDS = 40


def test_teams_that_are_closed_while_releases_are_published_lose_neither(folder: LabFolder) -> None:
    store = Store(folder.control_db)
    lineage.prepare(store)
    feed = Feed(folder, store)

    def close() -> None:
        for number in range(1, ROUNDS + 1):
            feed.close({"revenue": f"{number} times"})

    def publish() -> None:
        for number in range(1, ROUNDS + 1):
            feed.publish([], {"online": {"revenue": number}})

    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(close), pool.submit(publish)]:
            work.result()
    last = feed.current()
    assert last.sequence == 2 * ROUNDS
    assert (last.closed, last.shares) == ({"revenue": f"{ROUNDS} times"}, {"online": {"revenue": ROUNDS}})
    assert ReleaseFeed.model_validate_json((folder.releases / "feed.json").read_bytes()) == last
    store.close()
