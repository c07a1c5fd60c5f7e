"""The model that serves: loaded whole, then put in the place of the one before it."""

import asyncio
import datetime as dt
import logging
import math
import re
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pandas as pd

from rfmrisk.datasets import make_transactions
from rfmrisk.histories.options import AMOUNT, CUSTOMER, TIME
from rfmrisk.histories.roles import Roles
from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.model import ScoringModel, version_of_folder
from rfmrisk.scoring.passwords import without_passwords
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.serving.bodies import BodyReader, FeatureReader
from rfmrisk.serving.guard import place_of
from rfmrisk.serving.monitor import ScoreMonitor
from rfmrisk.serving.schemas import ModelName
from rfmrisk.serving.settings import Settings

NO_MODEL = "no model is configured: set MODEL_PATH, or MLFLOW_TRACKING_URI and MODEL_NAME"
N_REASONS = 3  # in each answer

logger = logging.getLogger(__name__)

# A worker that takes the place of another has its model before it takes a request, if that is
# quick; a registry that is slow or silent does not keep it from saying that it lives.
FIRST_SECONDS = 3.0
RETRY_SECONDS = 30.0
LOOK_SECONDS = 1.0

# The folders of a path; its name alone says which file it is.
_FOLDERS = re.compile(r"(?<![\w:/.-])/[^\s'\"]*/|(?<=sqlite:///)[^\s'\"]*/")


class Champion:
    """A model with all that answering needs, under one name, so that it is swapped as one.

    Its name and version are those of the registry; for a folder the kind of model, and the start
    of its files' SHA-256. It was ``loaded_at`` a moment in UTC, ISO-8601.
    """

    def __init__(
        self, model: ScoringModel, settings: Settings, name: str = "", version: str = "unsaved"
    ) -> None:
        self.model, self.scorer = model, model.scorer
        self.named = ModelName(name or model.metadata.model, version)
        self.loaded_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.reasons_are = model.reasons_from, model.reasons_note
        self.book = PhraseBook.read(settings.reasons)
        self.monitor = ScoreMonitor.of(model, self.named.name, version)
        columns = self.scorer.recipe.columns
        ignored = [name for name in self.scorer.known_columns if name not in columns]
        self.reader = BodyReader(self.scorer.recipe.fields, settings, columns, ignored)
        typical = {name: model.metadata.typical[name] for name in model.metadata.features}
        self.features = FeatureReader(typical, self.scorer.used, settings)

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
        own = Roles.of_training(self.model.metadata.roles)
        columns = {CUSTOMER: own.customer, TIME: own.time, AMOUNT: own.amount}
        log = log[[*columns, *self.reader.fields]].rename(columns=columns)
        return log.to_csv(index=False).encode()


class ChampionHolder:
    """Holds the champion and replaces it.

    Attributes
    ----------
    champion : Champion or None
        What serves now. A request reads it once, so it sees one model from start to end.
    error : str or None
        Why the last attempt to load failed, without a password, a folder or a customer's data.
    reloads : object with a value
        A number that the workers of one server share: a change asks all of them to reload.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.champion: Champion | None = None
        self.error: str | None = None
        self.reloads: Any = SimpleNamespace(value=0)  # of a worker that shares nothing
        self._loading = threading.Lock()
        self._due: float | None = None  # when the next attempt begins

    def retry_after(self) -> int:
        """Return after how many seconds there may be a model."""
        left = 5.0 if self._due is None else self._due - time.monotonic()
        return max(1, math.ceil(min(left, RETRY_SECONDS)))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Load the model, again until it is there, and look for new ones meanwhile."""
        if self.settings.model is None:
            yield
            return
        tried = asyncio.Event()
        watch = asyncio.create_task(self._watch(tried))
        with suppress(TimeoutError):
            await asyncio.wait_for(tried.wait(), FIRST_SECONDS)
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self, tried: asyncio.Event) -> None:
        seen = self.reloads.value
        if self.champion is None:
            await self._attempt()
        tried.set()
        while True:
            period = self.settings.reload_seconds or math.inf
            if self.champion is None:
                period = min(period, RETRY_SECONDS)
            self._due = time.monotonic() + period
            while (left := self._due - time.monotonic()) > 0 and self.reloads.value == seen:
                await asyncio.sleep(min(left, LOOK_SECONDS))
            seen = self.reloads.value
            await self._attempt()

    async def _attempt(self) -> None:
        self._due = None
        with suppress(ModelFileError):  # it is logged, and /health says so
            await self.reload()

    async def reload(self) -> bool:
        """Load what the settings name, if it is another version; return whether it was.

        It has a thread of its own, as it may take long or for ever: what else waits for a thread
        does not wait for it, nor does the process at its end.

        Raises
        ------
        ModelFileError
            It cannot be loaded. The old champion goes on serving.
        """
        done: Future[bool] = Future()

        def load() -> None:
            done.set_running_or_notify_cancel()
            try:
                with self._loading:
                    done.set_result(self._reload())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=load, name="rfmrisk-load", daemon=True).start()
        return await asyncio.wrap_future(done)

    def _reload(self) -> bool:
        source = self.settings.model
        try:
            if source is None:
                raise ModelFileError(NO_MODEL)
            name, version, uri = _identify(source)
            old = self.champion.named if self.champion else None
            changed = old is None or (old.name, old.version) != (name or old.name, version)
            if changed:
                self.champion = Champion(_load(uri), self.settings, name, version)
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
        return changed


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
