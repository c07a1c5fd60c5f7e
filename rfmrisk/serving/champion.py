"""The model that serves: loaded whole, then put in the place of the one before it."""

import asyncio
import datetime as dt
import hashlib
import logging
import threading
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring import MODEL_FILE, ScoringModel
from rfmrisk.serving.bodies import BodyReader
from rfmrisk.serving.monitor import ScoreMonitor
from rfmrisk.serving.scorer import Scorer
from rfmrisk.serving.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A model with all that answering needs, under one name, so that it is swapped as one.

    Attributes
    ----------
    model : ScoringModel
    name, version : str
        As in the registry; for a folder the kind of model, and the start of the file's SHA-256.
    loaded_at : str
        ISO-8601, UTC.
    """

    model: ScoringModel
    name: str
    version: str
    scorer: Scorer
    reader: BodyReader
    monitor: ScoreMonitor
    loaded_at: str = field(
        default_factory=lambda: dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    )

    @classmethod
    def of(
        cls, model: ScoringModel, settings: Settings, name: str = "", version: str = "unsaved"
    ) -> "Champion":
        """Prepare a model for serving."""
        scorer = Scorer(model)
        reader = BodyReader(scorer.recipe.fields, settings)
        monitor = ScoreMonitor.of(model)
        return cls(model, name or str(model.facts["model"]), version, scorer, reader, monitor)


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
        Why the last attempt to load failed.
    """

    def __init__(self, settings: Settings, champion: Champion | None = None) -> None:
        self.settings = settings
        self.champion = champion
        self.error: str | None = None
        self._loading = threading.Lock()

    def reload(self) -> bool:
        """Load what the settings name, if it is another version; return whether it was.

        Raises
        ------
        ModelFileError
            It cannot be loaded. The old champion goes on serving.
        """
        with self._loading:
            source = self.settings.model
            try:
                if source is None:
                    raise ModelFileError("no model is configured: set MODEL_PATH or MODEL_NAME")
                name, version, uri = _identify(source)
                old = self.champion
                if old and (old.name, old.version) == (name or old.name, version):
                    self.error = None
                    return False
                self.champion = Champion.of(_load(uri), self.settings, name, version)
            except Exception as error:
                # Whatever is wrong with a new model, the old one goes on.
                told, self.error = self.error, f"{type(error).__name__}: {error}"
                if told != self.error:  # once, and not at every poll
                    logger.warning("the model was not loaded: %s", self.error)
                if isinstance(error, ModelFileError):
                    raise
                raise ModelFileError(f"{source!r} cannot be loaded") from error
            self.error = None
            return True

    async def poll(self, executor: Executor) -> None:
        """Look for a new champion every ``reload_seconds``, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.reload_seconds)
            try:
                await asyncio.get_running_loop().run_in_executor(executor, self.reload)
            except ModelFileError:
                continue  # it is logged, and /health says so


def _load(source: str) -> ScoringModel:
    if ":/" not in source:
        return ScoringModel.load(source)
    from rfmrisk.training.tracking import load_model

    return load_model(source)


def _identify(source: str) -> tuple[str, str, str]:
    """Return the name and version of what a source names now, and the URI of that version."""
    if ":/" not in source:
        file = Path(source) / MODEL_FILE
        if not file.is_file():
            raise ModelFileError(f"there is no model file {str(file)!r}")
        return "", hashlib.sha256(file.read_bytes()).hexdigest()[:12], source
    if not source.startswith("models:/"):
        return "", source.rsplit("/", 1)[-1], source
    from rfmrisk.training.tracking import quiet_mlflow

    mlflow = quiet_mlflow()
    name, at, alias = source.removeprefix("models:/").partition("@")
    if not at:
        name, _, version = name.partition("/")
        return name, version, source
    try:
        found = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except mlflow.MlflowException as error:
        raise ModelFileError(f"the registry has no {source!r}: {error.error_code}") from error
    return name, str(found.version), f"models:/{name}/{found.version}"
