"""The model that serves: loaded whole, then put in the place of the one before it."""

import asyncio
import datetime as dt
import logging
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from queue import SimpleQueue
from typing import Any

import pandas as pd

from rfmrisk.datasets import make_transactions
from rfmrisk.histories.options import AMOUNT, CUSTOMER, TIME
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.model import ScoringModel, version_of_folder
from rfmrisk.scoring.passwords import without_passwords
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.scoring.scorer import Scorer
from rfmrisk.serving.bodies import BodyReader, FeatureReader
from rfmrisk.serving.guard import place_of
from rfmrisk.serving.monitor import ScoreMonitor
from rfmrisk.serving.settings import Settings

NO_MODEL = "no model is configured: set MODEL_PATH, or MLFLOW_TRACKING_URI and MODEL_NAME"
N_REASONS = 3  # in each answer
USUAL = {"customer": CUSTOMER, "time": TIME, "amount": AMOUNT}

logger = logging.getLogger(__name__)

# A worker that takes the place of another has its model before it takes a request, if that is
# quick; a registry that is slow or silent does not keep it from saying that it lives.
FIRST_SECONDS = 3.0
RETRY_SECONDS = 30.0
LOOK_SECONDS = 1.0

# The folders of a path; its name alone says which file it is.
_FOLDERS = re.compile(r"(?<![\w:/.-])/[^\s'\"]*/|(?<=sqlite:///)[^\s'\"]*/")


@dataclass(frozen=True)
class Champion:
    """A model with all that answering needs, under one name, so that it is swapped as one.

    Attributes
    ----------
    model : ScoringModel
    name, version : str
        As in the registry; for a folder the kind of model, and the start of its files' SHA-256.
    loaded_at : str
        ISO-8601, UTC.
    """

    model: ScoringModel
    name: str
    version: str
    book: PhraseBook
    reader: BodyReader
    features: FeatureReader
    monitor: ScoreMonitor
    loaded_at: str = field(
        default_factory=lambda: dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    )

    @property
    def scorer(self) -> Scorer:
        """What scores, for Python as for the app."""
        return self.model.scorer

    @cached_property
    def reasons_are(self) -> tuple[str | None, str]:
        """What the reasons come from, and the note on their points."""
        return self.model.reasons_from, self.model.reasons_note

    @cached_property
    def roles(self) -> dict[str, str]:
        """The columns of customer, time and amount in the log of the training."""
        own = self.model.metadata.roles
        return {role: own.get(role, usual) for role, usual in USUAL.items()}

    @cached_property
    def sample(self) -> bytes | None:
        """A log of the sample bank for this model, as CSV; None where it lacks what is needed."""
        if self.reader.columns:
            return None
        log = make_transactions(40, random_state=7)
        for name, kind in self.reader.fields.items():
            numeric = name in log and pd.api.types.is_numeric_dtype(log[name])
            if name not in log or (kind == "number" and not numeric):
                return None
        log = log[[*USUAL.values(), *self.reader.fields]]
        columns = {USUAL.get(role, role): column for role, column in self.roles.items()}
        return log.rename(columns=columns).to_csv(index=False).encode()

    @classmethod
    def of(
        cls, model: ScoringModel, settings: Settings, name: str = "", version: str = "unsaved"
    ) -> "Champion":
        """Prepare a model for serving."""
        recipe = model.scorer.recipe
        ignored = [name for name in model.scorer.known_columns if name not in recipe.columns]
        reader = BodyReader(recipe.fields, settings, recipe.columns, ignored)
        metadata = model.metadata
        typical = {name: metadata.typical[name] for name in metadata.features}
        features = FeatureReader(typical, model.scorer.used, settings)
        book = PhraseBook.read(settings.reasons)
        monitor = ScoreMonitor.of(model)
        return cls(model, name or metadata.model, version, book, reader, features, monitor)


class ChampionHolder:
    """Holds the champion and replaces it.

    Parameters
    ----------
    settings : Settings
    champion : Champion or None, default=None

    Attributes
    ----------
    champion : Champion or None
        What serves now. A request reads it once, so it sees one model from start to end.
    error : str or None
        Why the last attempt to load failed, without a password, a folder or a customer's data.
    reloads : object with a value
        A number that the workers of one server share: a change asks all of them to reload.
    """

    def __init__(self, settings: Settings, champion: Champion | None = None) -> None:
        self.settings = settings
        self.champion = champion
        self.error: str | None = None
        self.reloads: Any = _OwnNumber()
        self._thread: LoadingThread | None = None  # while the app lives
        self._due: float | None = None  # when the next attempt begins

    def retry_after(self) -> int:
        """Return after how many seconds there may be a model."""
        left = 5.0 if self._due is None else self._due - time.monotonic()
        return max(1, math.ceil(min(left, RETRY_SECONDS)))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Load the model, again until it is there, and look for new ones meanwhile."""
        self._thread = LoadingThread()
        tasks = []
        if self.settings.model is not None:
            first = asyncio.create_task(self._first())
            tasks = [first, asyncio.create_task(self._watch(first))]
            await asyncio.wait([first], timeout=FIRST_SECONDS)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self._thread.stop()

    async def reload(self) -> bool:
        """Load what the settings name, if it is another version; return whether it was.

        Raises
        ------
        ModelFileError
            It cannot be loaded. The old champion goes on serving.
        """
        if self._thread is None:
            raise RuntimeError("a model is loaded while the app lives; its lifespan has not begun")
        return await self._thread.call(self._reload)

    async def _first(self) -> None:
        if self.champion is None:
            await self._attempt()

    async def _attempt(self) -> None:
        self._due = None
        with suppress(ModelFileError):  # it is logged, and /health says so
            await self.reload()

    async def _watch(self, first: asyncio.Task) -> None:
        seen = self.reloads.value
        await asyncio.wait([first])
        while True:
            period = self.settings.reload_seconds or math.inf
            if self.champion is None:
                period = min(period, RETRY_SECONDS)
            self._due = time.monotonic() + period
            while (left := self._due - time.monotonic()) > 0 and self.reloads.value == seen:
                await asyncio.sleep(min(left, LOOK_SECONDS))
            seen = self.reloads.value
            await self._attempt()

    def _reload(self) -> bool:
        source = self.settings.model
        try:
            if source is None:
                raise ModelFileError(NO_MODEL)
            name, version, uri = _identify(source)
            old = self.champion
            if old and (old.name, old.version) == (name or old.name, version):
                self.error = None
                return False
            self.champion = Champion.of(_load(uri), self.settings, name, version)
        except Exception as error:
            # Whatever is wrong with a new model, the old one goes on.
            told, place = str(error), ""
            if not isinstance(error, ModelFileError):
                told = f"{source!r} cannot be loaded: {type(error).__name__}"
                place = f" ({place_of(error)})"
            told = _FOLDERS.sub("", without_passwords(told))
            if told != self.error:  # once, and not at every attempt
                logger.warning("the model was not loaded: %s%s", told, place)
            self.error = told
            raise ModelFileError(told) from error
        self.error = None
        return True


class LoadingThread:
    """A thread for calls that may take long or for ever.

    What else waits for a thread does not wait for these; nor does the process at its end.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future, Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="rfmrisk-load", daemon=True).start()

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call a function when those before it are done."""
        future: Future = Future()
        self._calls.put((future, function))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """End after the calls that are made already."""
        self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)


@dataclass
class _OwnNumber:
    """What a worker has that shares nothing with others."""

    value: int = 0


# A worker that serves a folder needs nothing of training and of MLflow.
def _identify(source: str) -> tuple[str, str, str]:
    if ":/" not in source:
        return "", version_of_folder(source), source
    from rfmrisk.training.addresses import identify

    return identify(source)


def _load(source: str) -> ScoringModel:
    if ":/" not in source:
        return ScoringModel.load(source)
    from rfmrisk.training.addresses import load_address

    return load_address(source)
