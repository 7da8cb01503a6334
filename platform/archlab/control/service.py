"""What control's calls work with: one lab's folder, database, feed, registry and desired state."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from archlab.addresses import REGISTRY, part
from archlab.control import bill, clock, lineage, quotas
from archlab.control.autoscaler import Autoscaler
from archlab.control.desired import Desired
from archlab.control.feed import Feed
from archlab.control.login import LoginCodes
from archlab.control.predictions import Predictions
from archlab.control.published import Published
from archlab.control.reconcile import Reconciler
from archlab.control.registry import Registry
from archlab.control.store import Store
from archlab.control.version_metrics import VersionMetrics
from archlab.errors import ArchlabError, LabStateError
from archlab.identity import PLATFORM, Verifier, mint
from archlab.settings import LabFolder
from archlab.spec.business import ModelCard
from archlab.spec.scenario import Scenario
from archlab.world import business

_log = logging.getLogger(__name__)


class Service:
    """The control process of one lab."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self.verifier = Verifier(folder)
        self.desired = Desired(folder)
        self.store = Store(folder.control_db)
        lineage.prepare(self.store)
        bill.prepare(self.store)
        self.feed = Feed(folder, self.store)
        self.feed.repair(self.feed.current())
        self.logins = LoginCodes()
        self.registry = Registry(part(folder, REGISTRY), lambda: mint(folder, PLATFORM))
        self.reconciler = Reconciler(self.store, self.feed, self.registry, self.desired)
        self.predictions = Predictions(
            folder.control_db.with_name("predictions.db"), folder.predictions, self._table_keys
        )
        self.versions = VersionMetrics(self.predictions, folder.control_db)
        self.published = Published(folder)
        self.autoscaler = Autoscaler(folder, self.desired)
        self._started = False
        self._failure = ""
        self._refused: list[str] = []
        self._log_failure = ""
        self._scale_failure = ""

    @property
    def scenario(self) -> Scenario:
        """The scenario as resolved; the first call sets the clock to its start.

        Raises:
            LabStateError: the lab has none yet.
        """
        scenario = self.desired.scenario
        if not self._started:
            clock.start(self.store, scenario)
            self._started = True
        return scenario

    @property
    def cards(self) -> Mapping[str, ModelCard]:
        """What the scenario's models are."""
        return business.load(self.scenario.business).cards

    def business_time(self) -> datetime:
        """The clock's now; wall time while there is no scenario."""
        try:
            _ = self.scenario
        except LabStateError:
            return datetime.now(UTC)
        with self.store.read() as db:
            return clock.read(db).now

    def take_in(self) -> bool:
        """One round of reading prediction logs; whether there is more. A failure is logged when it is a new one."""
        try:
            more = self.predictions.take_in()
            self._log_failure = ""
        except (OSError, sqlite3.Error, ArchlabError) as error:
            if str(error) != self._log_failure:
                _log.warning("prediction logs not read: %s", error)
            self._log_failure = str(error)
            return False
        return more

    def scale(self) -> None:
        """One round of scaling pools by their load; a failure is logged when it is a new one."""
        try:
            self.autoscaler.run()
            self._scale_failure = ""
        except (OSError, ArchlabError) as error:
            if str(error) != self._scale_failure:
                _log.warning("pools not scaled: %s", error)
            self._scale_failure = str(error)

    def requests_today(self) -> dict[str, int]:
        """Of the business, by team."""
        scenario = self.scenario
        with self.store.read() as db:
            return quotas.requests_today(db, scenario, clock.read(db).now)

    def settle_quotas(self) -> None:
        """Have servers refuse whoever has used up its requests of the business day, and nobody else."""
        if any(team.quotas.requests_per_day is not None for team in self.scenario.teams) or self.feed.current().closed:
            self.feed.close(quotas.closed(self.scenario, self.requests_today()))

    def close(self) -> None:
        """Close the databases."""
        self.predictions.close()
        self.store.close()

    def _table_keys(self, model: str) -> tuple[str, ...]:
        card = self.cards.get(model)
        return card.table_keys if card else ()

    def follow(self) -> None:
        """One round of following the registry; a failure is logged when it is a new one."""
        try:
            refused = sorted({found["reason"] for found in self.reconciler.run().refused})
            for reason in refused:
                if reason not in self._refused:
                    _log.warning("refused a release: %s", reason)
            self._refused, self._failure = refused, ""
        except (OSError, sqlite3.Error, ArchlabError) as error:  # a full disk ends one round, not all that follow
            if str(error) != self._failure:
                _log.warning("releases not reconciled: %s", error)
            self._failure = str(error)
