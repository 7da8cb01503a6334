"""Which models are in memory: loads them beside what serves, and evicts the least recently used under a limit.

All bookkeeping happens on the event loop, so it needs no locks; files are read, sessions made and dropped in threads.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from . import loading
from .devices import Devices
from .errors import RefusedReleaseError, ServingError, UnavailableError
from .feed import Release
from .loading import Backend, Contents, Made
from .metrics import Metrics
from .model_file import Failure, ModelFile, Tensors, closed_error
from .settings import Settings

logger = logging.getLogger("archlab_serving")

NO_ROOM = "memory"
"""A failure's reason when the limit leaves no room; the release itself is good."""
_LOADERS = 2
_HOT_S = 1.0
_FAILURE_S = 2.0
_GIVE_BACK_BYTES = 16 << 20


class _NoRoomError(Exception):
    """The limit leaves no room for a model."""


class Residency:
    """The models in memory, and the loads under way."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(_LOADERS, thread_name_prefix="model-loader")
        self._reaper = ThreadPoolExecutor(1, thread_name_prefix="model-reaper")
        self.devices = Devices(settings.devices)
        self._resident: set[ModelFile] = set()
        self._taken = 0
        """Bytes of what is in memory and of what is being made."""
        self._freed = 0
        self._shown: dict[tuple[str, str], ModelFile] = {}
        self._making: dict[ModelFile, bool] = {}
        """Sessions being made; True where another was made or dropped meanwhile."""
        self._measuring = False
        """Not from the first load on, which brings ONNX Runtime's own tables with it."""
        self._changed = asyncio.Event()
        self._waiting = 0
        self._unloaded: set[str] = set()

    def close(self) -> None:
        """Ends the threads; loads that have not begun are given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._reaper.shutdown(wait=True)

    def file(self, release: Release) -> ModelFile:
        """A place for the release's file, which is not read yet."""
        file = ModelFile(release, pinned=release.model in self._settings.pinned, when_idle=self._left)
        file.closed = release.model in self._unloaded
        file.assignment = self.devices.placements.of(release.model)
        return file

    async def load(self, file: ModelFile) -> None:
        """Waits until the file is in memory. One load serves however many requests wait for it.

        Raises:
            UnavailableError: it can't be loaded, or not within `load_timeout_s`; names the reason.
        """
        if file.backend is not None:
            return
        if file.closed:
            raise closed_error(file.release.model)
        if (failure := _in_force(file)) is not None:
            raise _unavailable(file, failure)
        task = file.loading or self._begin(file, asked=True)
        try:
            await asyncio.wait_for(asyncio.shield(task), self._settings.load_timeout_s)
        except TimeoutError:
            waited = self._settings.load_timeout_s
            raise UnavailableError(f"{file.release.id} is still being loaded after {waited:g} s; try again") from None
        if file.failure is not None:
            raise _unavailable(file, file.failure)

    async def prepare(self, file: ModelFile, *, evict: bool) -> bool:
        """Loads a file that no request has asked for yet; False where there is no room for it now.

        Raises:
            RefusedReleaseError: the file must not be served.
        """
        if file.closed or file.backend is not None:
            return True
        await (file.loading or self._begin(file, asked=False, evict=evict))
        failure, file.failure = file.failure, None
        if failure is not None and failure.reason != NO_ROOM:
            raise RefusedReleaseError(failure.reason, failure.message)
        return failure is None

    async def describe(self, file: ModelFile) -> Tensors:
        """What the model takes and answers; loads a tensor model that has never been loaded.

        Raises:
            UnavailableError: it had to be loaded and could not be.
        """
        if file.tensors is None:
            with file:
                await self.load(file)
        assert file.tensors is not None
        return file.tensors

    def will_answer(self, file: ModelFile) -> bool:
        """Whether a request would be answered, after loading the file if need be. Tries a failed load again."""
        if file.closed:
            return False
        if file.failure is not None and file.loading is None and _in_force(file) is None:
            self._begin(file, asked=False)
        return file.backend is not None or file.failure is None

    def follow(self, files: Iterable[ModelFile]) -> None:
        """These are the ones that may be asked for from now on; others go when their requests are done."""
        kept = set(files)
        for file in [file for file in self._resident if file not in kept]:
            file.retired = True
            self._let_go(file)

    def unload(self, model: str, files: Iterable[ModelFile]) -> None:
        """Takes the model's files from memory when their requests are done, and keeps them out until `reopen`."""
        self._unloaded.add(model)
        for file in files:
            file.closed = True
            self._let_go(file)

    def reopen(self, model: str, files: Iterable[ModelFile]) -> None:
        """Undoes `unload`."""
        self._unloaded.discard(model)
        for file in files:
            file.closed = file.wanted_idle = False
            file.failure = None

    def _begin(self, file: ModelFile, *, asked: bool, evict: bool = True) -> asyncio.Task[None]:
        file.failure = None
        file.loading = asyncio.create_task(self._load(file, asked=asked, evict=evict))
        return file.loading

    async def _load(self, file: ModelFile, *, asked: bool, evict: bool) -> None:
        """Leaves the file in memory, or with a failure; raises nothing."""
        started = time.monotonic()
        try:
            made = await self._bring(file, evict=evict)
        except RefusedReleaseError as error:
            self._fail(file, error.reason, error.message, refused=asked)
        except _NoRoomError as error:
            self._fail(file, NO_ROOM, str(error), refused=False)
        except Exception as error:
            logger.exception("loading %s failed", file.release.id)
            self._fail(file, "server", f"{type(error).__name__}: {error}", refused=False)
        else:
            self._loaded(file, made)
            if asked:
                self._metrics.cold_starts.observe(time.monotonic() - started)
        finally:
            file.loading = None
            self._notify()

    async def _bring(self, file: ModelFile, *, evict: bool) -> Made:
        loop, release = asyncio.get_running_loop(), file.release
        contents: Contents = await loop.run_in_executor(self._threads, loading.read, release, self._settings)
        need = file.memory_bytes if file.measured else max(contents.need_bytes, len(contents.data))
        await self._make_room(file, need, evict=evict)
        self._disturb()
        self._making[file] = len(self._making) > 0
        try:
            made: Made = await loop.run_in_executor(
                self._threads, loading.make, release, contents, self._settings, self.devices
            )
        finally:
            self._taken -= need
            overlapped = self._making.pop(file)
        if overlapped or not self._measuring:
            self._measuring = True
            return made._replace(memory_bytes=need)
        file.measured = True
        return made

    def _disturb(self) -> None:
        """The heap changes for another reason than the sessions that are being made: their growth isn't known."""
        for file in self._making:
            self._making[file] = True

    def _loaded(self, file: ModelFile, made: Made) -> None:
        file.backend, file.memory_bytes = made.backend, made.memory_bytes
        file.describe(made.backend)
        file.last_used = time.monotonic()
        self._resident.add(file)
        self._taken += file.memory_bytes
        self._metrics.loads.labels("loaded").inc()
        self._metrics.residents.set(len(self._resident))
        names = (file.release.model, file.release.version)
        self._metrics.load_seconds.labels(*names).set(made.seconds)
        self._metrics.model_memory.labels(*names).set(file.memory_bytes)
        self._shown[names] = file
        self._keep_limit(file)
        if file.closed or file.retired:
            self._let_go(file)

    def _excess(self) -> int:
        """Bytes above the limit, which a model larger than expected may bring for a moment; 0 and less within it."""
        return self._taken - (self._settings.memory_limit_bytes or self._taken)

    def _keep_limit(self, newest: ModelFile) -> None:
        """The measured size may be above the expected one: others go, now or with their last request.

        Only what doesn't fit beside the pinned models goes itself.
        """
        excess = self._excess()
        if excess <= 0:
            return
        fixed = sum(file.memory_bytes for file in self._resident if file.pinned and file is not newest)
        if fixed + newest.memory_bytes > self._settings.memory_limit_bytes:
            self._fail(newest, NO_ROOM, self._no_room(newest, newest.memory_bytes), refused=False)
            self._evict(newest)
            return
        victims = self._victims(excess, but=newest)
        if victims is None:
            victims = [file for file in self._resident if not file.pinned and file is not newest]
        for victim in victims:
            if victim.answering:
                victim.wanted_idle = True
            else:
                self._evict(victim)

    async def _make_room(self, file: ModelFile, need: int, *, evict: bool) -> None:
        """Takes `need` bytes of the limit, once others have gone.

        Raises:
            _NoRoomError: not even without all that may go, or not in time.
        """
        limit = self._settings.memory_limit_bytes
        deadline = time.monotonic() + self._settings.load_timeout_s
        while limit and self._taken + need > limit:
            victims = self._victims(self._taken + need - limit) if evict else None
            if victims is not None:
                for victim in victims:
                    self._evict(victim)
                continue
            fixed = sum(other.memory_bytes for other in self._resident if other.pinned)
            if not evict or fixed + need > limit or not await self._change(deadline):
                raise _NoRoomError(self._no_room(file, need))
        self._taken += need
        if limit:
            await asyncio.get_running_loop().run_in_executor(self._reaper, _nothing)

    def _victims(self, excess: int, but: ModelFile | None = None) -> list[ModelFile] | None:
        """The least recently used whose going frees `excess` bytes; None when all that may go are not enough.

        A champion that was used within the last second comes after everything else.
        """
        hot = time.monotonic() - _HOT_S
        idle = [file for file in self._resident if not (file.pinned or file.answering or file is but)]
        idle.sort(key=lambda file: (file.champion and file.last_used > hot, file.last_used))
        sums = itertools.accumulate(file.memory_bytes for file in idle)
        count = next((number for number, total in enumerate(sums, 1) if total >= excess), None)
        return None if count is None else idle[:count]

    async def _change(self, deadline: float) -> bool:
        """Waits until a request is answered or a load ends; False when the time is up."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        self._waiting += 1
        for file in self._resident:
            file.wanted_idle = True
        try:
            await asyncio.wait_for(self._changed.wait(), remaining)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    def _notify(self) -> None:
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    def _left(self, file: ModelFile) -> None:
        """The file's last request is answered."""
        file.wanted_idle = False
        if file.closed or file.retired:
            self._let_go(file)
        elif self._excess() > 0 and file.backend is not None and not file.pinned:
            self._evict(file)
        self._notify()

    def _let_go(self, file: ModelFile) -> None:
        if file.answering:
            file.wanted_idle = True
        elif file.backend is not None:
            self._drop(file)

    def _evict(self, file: ModelFile) -> None:
        self._metrics.evictions.inc()
        self._drop(file)

    def _drop(self, file: ModelFile) -> None:
        assert file.backend is not None
        self._disturb()
        doomed: list[Backend] = [file.backend]
        file.backend = None
        self._resident.discard(file)
        self._taken -= file.memory_bytes
        self._freed += file.memory_bytes
        give_back = self._freed >= _GIVE_BACK_BYTES
        if give_back:
            self._freed = 0
        self._reaper.submit(loading.free, doomed, give_back=give_back)
        self._metrics.residents.set(len(self._resident))
        self._hide(file)
        self._notify()

    def _hide(self, file: ModelFile) -> None:
        """Takes its figures from the metrics, unless another file of the same version has its own there."""
        names = (file.release.model, file.release.version)
        if self._shown.get(names) is not file:
            return
        self._metrics.model_memory.remove(*names)
        if file.retired:
            self._metrics.load_seconds.remove(*names)
        del self._shown[names]

    def _fail(self, file: ModelFile, reason: str, message: str, *, refused: bool) -> None:
        self._metrics.loads.labels("failed").inc()
        file.failure = Failure(reason, message, time.monotonic() + _FAILURE_S)
        if refused:
            self._metrics.refused.labels(file.release.model, reason).inc()
            logger.error("release %s can't be loaded (%s): %s", file.release.id, reason, message)

    def _no_room(self, file: ModelFile, need: int) -> str:
        limit = self._settings.memory_limit_bytes
        return (
            f"{file.release.id} needs {need} bytes, ARCHLAB_SERVING_MEMORY_LIMIT_BYTES is {limit}, "
            f"and {self._taken} are taken by models that can't go now"
        )


def _in_force(file: ModelFile) -> Failure | None:
    failure = file.failure
    return failure if failure is not None and time.monotonic() < failure.until else None


def _unavailable(file: ModelFile, failure: Failure) -> ServingError:
    return UnavailableError(f"release {file.release.id} can't be loaded ({failure.reason}): {failure.message}")


def _nothing() -> None:
    """Runs after all that the reaper was given before."""
