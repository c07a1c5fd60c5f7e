"""What a URI of MLflow names now: a model by its run, its version or its alias."""

import os

from rfmrisk.persistence import ModelFileError
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.training.registry import load_registered
from rfmrisk.training.store import REFUSED, out_of_reach, outside_failures, quiet_mlflow


def load_address(source: str) -> ScoringModel:
    """Load the model of a URI of MLflow.

    Raises
    ------
    ModelFileError
        There is no such model, or the registry cannot be used.
    """
    try:
        return load_registered(source)
    except ModelFileError as error:
        raise told_of_registry(error.__cause__, source) or error from error


def identify(source: str) -> tuple[str, str, str]:
    """Return the name and version of what a source names now, and the URI of that version.

    The name is empty outside of a registry.

    Raises
    ------
    ModelFileError
        There is no such model, or the registry cannot be used.
    """
    # MLflow would wait for two minutes, several times.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    if not source.startswith("models:/"):
        return "", source.rsplit("/", 1)[-1], source
    mlflow = quiet_mlflow()
    name, at, alias = source.removeprefix("models:/").partition("@")
    if not at:
        name, _, version = name.partition("/")
        return name, version, source
    try:
        found = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except outside_failures() as error:
        missing = ModelFileError(f"the registry has no {source!r}")
        raise told_of_registry(error, source) or missing from error
    return name, str(found.version), f"models:/{name}/{found.version}"


def told_of_registry(error: BaseException | None, source: str) -> ModelFileError | None:
    """Return that the registry cannot be used, if that is what the error means."""
    where = f"the registry at {quiet_mlflow().get_registry_uri()!r}"
    if out_of_reach(error):
        return ModelFileError(f"{where} cannot be reached, so {source!r} cannot be loaded")
    code = getattr(error, "error_code", None)
    if code in REFUSED:
        return ModelFileError(f"{where} refuses to give {source!r}: {code}")
    return None
