"""Tracking in MLflow: autolog drives the searches, and the best model is logged once, in skops.

A tracking server may be away or die at any time. It then costs the tracking and never the
training: what is left to log lies in the training's folder, and `publish` logs it later.
"""

import json
import shlex
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from rfmrisk import __version__
from rfmrisk.persistence import TRUSTED_TYPES, all_trusted
from rfmrisk.scoring.metadata import ModelMetadata, TrackedRun
from rfmrisk.scoring.model import MODEL_FILE, ScoringModel
from rfmrisk.scoring.naming import alias_of
from rfmrisk.training.exchange import read_histories, signature
from rfmrisk.training.folder import (
    EXAMPLE_FILE,
    HELD_OUT_FILE,
    SAMPLE_FILE,
    SAMPLES_FILE,
    read_file,
    read_table,
)
from rfmrisk.training.registry import (
    ARTIFACTS,
    HeldOut,
    Registration,
    check_names,
    default_name,
    load_registered,
    register,
)
from rfmrisk.training.report.watch import in_words
from rfmrisk.training.store import (
    TrackingError,
    alone_with_store,
    check_store,
    first_line,
    outside_failures,
    quiet_mlflow,
    reach_store,
    store_uri,
)

EXPERIMENT = "rfmrisk"


class Tracker:
    """One MLflow run of a training, with a child run for each model and candidate.

    Parameters
    ----------
    experiment : str, default="rfmrisk"
        The experiment's name; the store is that of ``MLFLOW_TRACKING_URI``, by default SQLite
        in the current folder.

    Attributes
    ----------
    failure : str or None
        What went wrong with the store, once something has; nothing more is tracked then.

    Examples
    --------
    A training tracked, saved, and registered; here in a store that is thrown away:

    >>> import os, tempfile
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import Tracker, save_run, train
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> place = tempfile.TemporaryDirectory()
    >>> os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place.name}/mlflow.db"
    >>> tracker = Tracker()
    >>> result = train(histories, models=["decision_tree"], cv=2, tracker=tracker)
    >>> folder = save_run(result, f"{place.name}/run")
    >>> tracker.publish(folder).reason
    'there was no champion before it'
    >>> del os.environ["MLFLOW_TRACKING_URI"]
    >>> place.cleanup()
    """

    def __init__(self, experiment: str = EXPERIMENT) -> None:
        self.mlflow = quiet_mlflow()
        check_store()
        self.experiment = experiment
        self.failure: str | None = None
        self.tracked: TrackedRun | None = None
        self._open = False

    @property
    def git_commit(self) -> str | None:
        """The commit of the current folder, where it is in a git repository."""
        from mlflow.utils.git_utils import get_git_commit

        return get_git_commit(str(Path.cwd()))

    @contextmanager
    def run(
        self, params: dict[str, Any], log: str = "histories", run_id: str | None = None
    ) -> Iterator[str | None]:
        """Open a run; it ends FINISHED, FAILED on an error, KILLED on an interrupt.

        Inside a run of this tracker nothing is opened, and the parameters are logged there;
        inside one of your own, a child run.

        Parameters
        ----------
        params : dict
            What the training was asked for. None and empty lists are left out.
        log : str, default="histories"
            Name of the transaction log.
        run_id : str or None, default=None
            A run to go on with, where the store has it.

        Yields
        ------
        str or None
            The run's id; None where the store cannot be used.
        """
        if self._open and self.tracked:
            self._ask(self.mlflow.log_params, _as_text(params))
            self.tracked = replace(self.tracked, params=self.tracked.params | params)
            yield self.tracked.run_id
            return
        outer = self.mlflow.active_run()
        active = self._ask(self._start, params, log, run_id)
        ours = active.info.run_id if active else None
        self.tracked = TrackedRun(experiment=self.experiment, run_id=ours, params=params, log=log)
        self._open = True
        status = "FAILED"
        try:
            yield ours
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self._open = False
            while self.mlflow.active_run() not in (None, outer):
                self._end(status)

    def _start(self, params: dict[str, Any], log: str, run_id: str | None) -> Any:
        mlflow = self.mlflow
        self._set_experiment()
        known = run_id is not None and self._knows(run_id)
        chosen = {"run_id": run_id} if known else {"run_name": f"train {log}"}
        active = mlflow.start_run(**chosen, nested=True)
        mlflow.set_tags({"rfmrisk.version": __version__, "rfmrisk.log": log})
        mlflow.log_params(_as_text(params))
        return active

    def _set_experiment(self) -> None:
        reach_store()
        with alone_with_store():
            self.mlflow.set_experiment(self.experiment)

    def _knows(self, run_id: str) -> bool:
        try:
            self.mlflow.get_run(run_id)
        except self.mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Log the search that runs inside by autolog, as a child run.

        Parameters
        ----------
        name : str
            Of the run.

        Yields
        ------
        None
        """
        mlflow = self.mlflow
        child = self._ask(mlflow.start_run, run_name=name, nested=True)
        if child is not None:
            mlflow.sklearn.autolog(
                log_models=False,
                log_datasets=False,
                log_post_training_metrics=False,
                max_tuning_runs=None,
                silent=True,
            )
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            mlflow.sklearn.autolog(disable=True, silent=True)
            if child is not None:
                self._end(status)

    def _ask(self, action: Callable, *arguments: Any, **options: Any) -> Any:
        """Do something with the store; remember its first failure, and ask no more after it."""
        if self.failure is None:
            try:
                return action(*arguments, **options)
            except outside_failures() as error:
                if getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":
                    raise ValueError(first_line(error)) from error
                self.failure = first_line(error)
                warnings.warn(
                    f"MLflow cannot use {store_uri()!r}; nothing more is tracked. {self.failure}",
                    stacklevel=2,
                )
        return None

    def _end(self, status: str) -> None:
        """End the innermost run, which MLflow forgets even where the store is gone."""
        try:
            self.mlflow.end_run(status)
        except outside_failures() as error:
            self.failure = self.failure or first_line(error)

    def publish(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        alias: str | None = None,
        margin: float | None = None,
    ) -> Registration:
        """Log a training's folder into its run, or a new one, and register its model.

        Parameters
        ----------
        folder : str or Path
            What `rfmrisk train` or `save_run` left.
        name : str or None, default=None
            The registered model; None is ``MODEL_NAME``, or ``credit_scoring_model``.
        alias : str or None, default=None
            What there is to win; None is ``MODEL_STAGE``, or the champion.
        margin : float or None, default=None
            By how much its ROC-AUC must exceed the champion's on the same held-out customers;
            None asks for a difference that is not chance.

        Returns
        -------
        Registration

        Raises
        ------
        TrackingError
            The store cannot be used; the registry is as it was.
        ModelFileError, ValueError
            The folder is not whole, or the name or the alias is not allowed.
        """
        name, alias = name or default_name(), alias_of(alias)
        check_names(name, alias, margin)
        folder = Path(folder)
        model = ScoringModel.load(folder)
        metrics = read_table(folder, "metrics.csv", "model")
        samples = read_table(folder, SAMPLES_FILE, needed=("as_of", "target", "part", "is_last"))
        test = samples[samples["part"] == "test"]
        held_out = HeldOut(
            read_histories(folder / HELD_OUT_FILE),
            test["target"].to_numpy(),
            test["is_last"].to_numpy(bool),
            test["weight"].to_numpy() if "weight" in test else None,
        )
        example = pd.DataFrame(json.loads(read_file(folder, EXAMPLE_FILE)))
        tracked, data = model.metadata.tracking, model.metadata.data
        with self.run(
            tracked.params if tracked else {},
            tracked.log if tracked else data.name,
            tracked.run_id if tracked else None,
        ):
            if self.failure is None:
                try:
                    logged = self._log(folder, model, metrics, samples, example)
                    return register(
                        model,
                        logged.model_id,
                        self.mlflow.active_run().info.run_id,
                        held_out,
                        name=name,
                        alias=alias,
                        margin=margin,
                        tags=describing_tags(model.metadata),
                    )
                except outside_failures() as error:
                    self.failure = first_line(error)
            raise TrackingError(
                f"MLflow cannot use {store_uri()!r}: {self.failure}. The model "
                f"and the report are in {folder}; when MLflow is back, rfmrisk upload "
                f"{shlex.quote(str(folder))}"
            )

    def keep_validation(
        self,
        folder: Path,
        name: str,
        *,
        params: dict[str, Any],
        verdicts: dict[str, str],
        figures: dict[str, float],
    ) -> str | None:
        """Log a validation as a run of its own: its page and tables, its verdicts as tags.

        Parameters
        ----------
        folder : Path
            What `rfmrisk.validation.write_validation` wrote.
        name : str
            Of the run.
        params : dict
            What was asked for.
        verdicts : dict of str to str
            By question.
        figures : dict of str to float

        Returns
        -------
        str or None
            The run's id; None where the store cannot be used, with a warning.
        """

        def keep() -> str:
            self._set_experiment()
            with self.mlflow.start_run(run_name=name, nested=True) as active:
                self.mlflow.log_params(_as_text(params))
                self.mlflow.set_tags({f"verdict.{each}": text for each, text in verdicts.items()})
                self.mlflow.log_metrics({each: float(value) for each, value in figures.items()})
                self.mlflow.log_artifacts(str(folder), "validation")
            return str(active.info.run_id)

        found: str | None = self._ask(keep)
        return found

    def _log(
        self,
        folder: Path,
        model: ScoringModel,
        metrics: pd.DataFrame,
        samples: pd.DataFrame,
        example: pd.DataFrame,
    ) -> Any:
        """Log all that a folder holds; return the logged model."""
        mlflow = self.mlflow
        mlflow.log_metrics(_flat(metrics, model.metadata.model))
        mlflow.set_tags(describing_tags(model.metadata))
        data = model.metadata.data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's hints about integer columns
            dataset = mlflow.data.from_pandas(
                samples[["as_of", "target", "part"]],
                name=data.name,
                targets="target",
                digest=data.fingerprint[:32],
            )
            mlflow.log_input(dataset, context="training")
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                mlflow.log_artifacts(str(path), f"{ARTIFACTS}/{path.name}")
            elif path.name not in (MODEL_FILE, HELD_OUT_FILE, SAMPLE_FILE):
                # The model is logged below. Histories stay at home, but for the two of the example.
                mlflow.log_artifact(str(path), ARTIFACTS)
        return self._log_model(model, example)

    def _log_model(self, model: ScoringModel, example: pd.DataFrame) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.mlflow.sklearn.log_model(
                model.pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=[*TRUSTED_TYPES, *all_trusted()],
                pip_requirements=[
                    f"{name}=={number}"
                    for name, number in model.metadata.versions.items()
                    if name != "python"
                ],
                signature=signature(example.columns),
                input_example=example,
                pyfunc_predict_fn="predict_proba",
                metadata={"rfmrisk": model.metadata.to_dict()},
            )


def describing_tags(metadata: ModelMetadata) -> dict[str, str]:
    """Return what a run and a version are tagged with, so that one finds them by it."""
    tags = {
        "rfmrisk.version": metadata.versions.get("rfmrisk"),
        "rfmrisk.model": metadata.model,
        "rfmrisk.outcome": in_words(metadata.asked.get("outcome")),
        "rfmrisk.windows": ", ".join(window or "all" for window in metadata.windows or ()) or None,
        "rfmrisk.label": metadata.asked.get("labeler"),
        "rfmrisk.label_stability": metadata.label_stability,
        "rfmrisk.git_commit": metadata.git_commit,
        "rfmrisk.data_fingerprint": metadata.data.fingerprint or None,
    }
    return {name: str(value) for name, value in tags.items() if value is not None}


def load_model(folder_or_uri: str | Path) -> ScoringModel:
    """Load a scoring model from a run's folder or from MLflow.

    Parameters
    ----------
    folder_or_uri : str or Path
        A folder that `rfmrisk train` wrote, or a URI such as ``models:/name@champion`` or
        ``runs:/.../model``. Whatever MLflow says of a file, only the package's own trusted
        types are loaded, and those of one's own that ``RFMRISK_TRUSTED`` names.

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
    if ":/" in str(folder_or_uri):
        return load_registered(str(folder_or_uri))
    return ScoringModel.load(folder_or_uri)


def _flat(metrics: pd.DataFrame, best: str) -> dict[str, float]:
    """Return the held-out figures under names such as ``test_roc_auc``."""
    return {
        f"{'test' if model == best else model}_{name}".replace(" ", "_"): float(value)
        for model, row in metrics.iterrows()
        for name, value in row.items()
        if pd.notna(value)
    }


def _as_text(params: dict[str, Any]) -> dict[str, str]:
    """Return parameters as MLflow shows them."""
    return {name: text for name, value in params.items() if (text := in_words(value))}
