"""Tracking in MLflow: autolog drives it, and the best model is logged once, in skops format."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from rfmrisk import __version__
from rfmrisk.persistence import TRUSTED_TYPES
from rfmrisk.scoring import MODEL_FILE, ScoringModel
from rfmrisk.training.search import TrainingResult

EXPERIMENT = "rfmrisk"


class TrackingError(RuntimeError):
    """The tracking server or store cannot be used."""


def quiet_mlflow() -> Any:
    """Import MLflow with its telemetry off, unless the user chose otherwise."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


class Tracker:
    """One MLflow run of a training, with a child run for each model and candidate.

    Parameters
    ----------
    experiment : str, default="rfmrisk"
        The experiment's name; the store is that of ``MLFLOW_TRACKING_URI``, by default SQLite
        in the current folder.
    """

    def __init__(self, experiment: str = EXPERIMENT) -> None:
        self.mlflow = quiet_mlflow()
        self.experiment = experiment

    @contextmanager
    def run(self, params: dict[str, Any], tags: dict[str, str]) -> Iterator[str]:
        """Open the run; it ends FINISHED, FAILED on an error, KILLED on an interrupt."""
        mlflow = self.mlflow
        try:
            mlflow.set_experiment(self.experiment)
            active = mlflow.start_run(tags={"rfmrisk.version": __version__, **tags})
        except (mlflow.MlflowException, OSError) as error:
            raise TrackingError(
                f"MLflow cannot use its store {mlflow.get_tracking_uri()!r}: {error}"
            ) from error
        status = "FAILED"
        try:
            mlflow.log_params(params)
            yield active.info.run_id
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            while mlflow.active_run() is not None:
                mlflow.end_run(status)

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Log the search that runs inside by autolog, as a child run."""
        mlflow = self.mlflow
        mlflow.sklearn.autolog(
            log_models=False,
            log_datasets=False,
            log_post_training_metrics=False,
            max_tuning_runs=None,
            silent=True,
        )
        try:
            with mlflow.start_run(run_name=name, nested=True):
                yield
        finally:
            mlflow.sklearn.autolog(disable=True, silent=True)

    def log_result(self, result: TrainingResult, folder: Path) -> str:
        """Log metrics, files and the model of a training; return the model's URI."""
        mlflow = self.mlflow
        best = result.model.facts["model"]
        metrics = {
            f"{'test' if model == best else model}_{name}".replace(" ", "_"): value
            for model, row in result.metrics.iterrows()
            for name, value in row.items()
            if pd.notna(value)
        }
        mlflow.log_metrics(metrics)
        mlflow.set_tag("rfmrisk.model", best)
        mlflow.log_artifacts(str(folder), artifact_path="report")
        return self.log_model(result.model)

    def log_model(self, model: ScoringModel) -> str:
        """Log the pipeline with its facts; return its URI."""
        packages = ["rfmrisk", "scikit-learn", "pandas", "numpy", "pyarrow", "skops"]
        if model.facts["model"] == "xgboost":
            packages.append("xgboost")
        logged = self.mlflow.sklearn.log_model(
            model.pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=TRUSTED_TYPES,
            pip_requirements=[f"{name}=={_version(name)}" for name in packages],
            metadata={"rfmrisk": model.facts},
        )
        return logged.model_uri


def load_model(folder_or_uri: str | Path) -> ScoringModel:
    """Load a scoring model from a run's folder or from MLflow.

    Parameters
    ----------
    folder_or_uri : str or Path
        A folder that `rfmrisk train` wrote, or a URI such as ``models:/name@champion`` or
        ``runs:/.../model``. Whatever MLflow says of a file, only the package's own trusted
        types are loaded.

    Returns
    -------
    ScoringModel

    Raises
    ------
    ModelFileError
        There is no such model, it is broken, or it holds types that are not trusted.

    Examples
    --------
    >>> from rfmrisk.training import load_model
    >>> load_model("models/none")
    Traceback (most recent call last):
    ...
    rfmrisk.persistence.ModelFileError: there is no model folder 'models/none'
    """
    if ":/" not in str(folder_or_uri):
        return ScoringModel.load(folder_or_uri)
    from rfmrisk.persistence import ModelFileError, load

    mlflow = quiet_mlflow()
    try:
        facts = (mlflow.models.get_model_info(str(folder_or_uri)).metadata or {}).get("rfmrisk")
        folder = Path(mlflow.artifacts.download_artifacts(str(folder_or_uri)))
    except (mlflow.MlflowException, OSError, ValueError) as error:
        raise ModelFileError(f"MLflow has no model {str(folder_or_uri)!r}: {error}") from error
    if not facts:
        raise ModelFileError(f"{str(folder_or_uri)!r} was not logged by rfmrisk")
    return ScoringModel(load(folder / MODEL_FILE), facts)


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return version("xgboost-cpu")
