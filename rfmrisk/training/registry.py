"""The registry: which version of the model is champion, and how a new one comes to replace it."""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk import __version__
from rfmrisk.persistence import ModelFileError, loads
from rfmrisk.proxy.auc import bootstrap_auc, has_enough, interval
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import MODEL_FILE, ScoringModel
from rfmrisk.scoring.naming import CHAMPION
from rfmrisk.scoring.probability import bad_probability
from rfmrisk.training.folder import SAMPLES_FILE, read_table
from rfmrisk.training.store import (
    first_line,
    out_of_reach,
    outside_failures,
    quiet_mlflow,
    reach_store,
    store_uri,
)

CHALLENGER = "challenger"
N_RESAMPLES = 1_000
ARTIFACTS = "report"


@dataclass(frozen=True)
class HeldOut:
    """Customers that a model was not trained on, to judge it by.

    Attributes
    ----------
    histories : DataFrame of shape (n_samples, n_columns)
    target : array of shape (n_samples,)
        1 is bad.
    is_last : array of bool of shape (n_samples,)
        Whether the decision is among the last.
    sample_weight : array of shape (n_samples,) or None
        What each counts; None where all count alike.
    """

    histories: pd.DataFrame
    target: np.ndarray
    is_last: np.ndarray
    sample_weight: np.ndarray | None = None

    def enough(self, rows: np.ndarray) -> bool:
        """Whether rows have customers enough of either class to compare models on."""
        return has_enough(self.histories.index[rows], self.target[rows])


@dataclass(frozen=True)
class Registration:
    """A version in the registry, the alias that it was given, and why.

    Attributes
    ----------
    name : str
    version : str
    alias : str
    reason : str
    """

    name: str
    version: str
    alias: str
    reason: str

    @property
    def uri(self) -> str:
        """Where `rfmrisk score --model` and MLflow find it."""
        return f"models:/{self.name}@{self.alias}"


def default_name() -> str:
    """Return the name under which models are registered: ``MODEL_NAME``, or the package's."""
    return os.environ.get("MODEL_NAME") or "credit_scoring_model"


def check_names(name: str, alias: str, margin: float | None = None) -> None:
    """Refuse what the registry would refuse, before anything is trained.

    Raises
    ------
    ValueError
        The name, the alias or the margin is not allowed.
    """
    if margin is not None and not np.isfinite(margin):
        raise ValueError(f"the margin must be a difference of ROC-AUC such as 0.005; got {margin}")
    mlflow = quiet_mlflow()
    from mlflow.utils.validation import (
        _validate_model_alias_name,
        _validate_model_alias_name_reserved,
        _validate_model_name,
    )

    if "'" in name and '"' in name:
        raise ValueError(f"the model's name may have quotes of one kind; got {name!r}")
    try:
        _validate_model_name(name)
        _validate_model_alias_name(alias)
        _validate_model_alias_name_reserved(alias)
    except mlflow.MlflowException as error:
        raise ValueError(first_line(error)) from error


def register(
    model: ScoringModel,
    model_id: str,
    run_id: str,
    held_out: HeldOut,
    *,
    name: str,
    alias: str = CHAMPION,
    margin: float | None = None,
    tags: dict[str, str] | None = None,
) -> Registration:
    """Register a logged model; it takes the alias only if it beats the one that has it.

    Parameters
    ----------
    model : ScoringModel
        What was logged.
    model_id, run_id : str
        MLflow's ids of the logged model and of its run. A model that this run has registered
        before is not registered again.
    held_out : HeldOut
        Customers that the model was not trained on.
    name : str
        The registered model.
    alias : str, default="champion"
        What there is to win.
    margin : float or None, default=None
        By how much the new model's ROC-AUC on the held-out customers must exceed that of the
        present holder of the alias on the same customers. None asks for a difference that is not
        chance: the 95 % interval of a bootstrap of the customers, the same for both models, must
        lie above 0.
    tags : dict of str to str or None, default=None
        Tags of the version.

    Returns
    -------
    Registration

    Notes
    -----
    Decisions that the present holder was trained on would flatter it. The two are compared on
    those held-out customers that it has not seen, as known at that time, where there are 20
    of either class; else on all, and the reason says how many it has seen. Of these, the last
    decisions alone count where they are as many.

    All is judged before anything is written, and a version whose alias cannot be set is taken
    back, so that a failure leaves the registry as it was.
    """
    client = quiet_mlflow().MlflowClient()
    judge = partial(_judge, model, held_out, name=name, alias=alias, margin=margin)
    holder = _holder(client, name, alias)
    decided, reason = judge(holder=holder)
    undo: list[Any] = []
    try:
        _ensure(client, name, undo)
        version = _version_of(client, name, run_id) or _create(
            client, name, model_id=model_id, run_id=run_id, tags=tags or {}, undo=undo
        )
        # Another training may have won the alias while this one was judged.
        while (now := _holder(client, name, alias)) != holder and now != version:
            holder = now
            decided, reason = judge(holder=holder)
        client.set_model_version_tag(name, version, "rfmrisk.decision", reason)
        client.set_registered_model_alias(name, decided, version)
    except BaseException:
        for action in reversed(undo):
            # Where even that fails, the first error says more.
            with suppress(Exception):
                action()
        raise
    return Registration(name, version, decided, reason)


def promote(version: str, *, name: str, alias: str = CHAMPION) -> str:
    """Give a version the alias, whatever the figures say.

    Parameters
    ----------
    version : str
        Such as ``"3"``.
    name : str
        The registered model.
    alias : str, default="champion"

    Returns
    -------
    str
        What was done.

    Raises
    ------
    ValueError
        There is no such version.
    """
    reach_store()
    client = quiet_mlflow().MlflowClient()
    known = _versions(client, name)
    if version not in known:
        raise ValueError(
            f"{name!r} has no version {version!r} in {store_uri()!r}; "
            f"its versions are {known or 'none'}"
        )
    before = _holder(client, name, alias)
    client.set_registered_model_alias(name, alias, version)
    if alias != CHALLENGER and _holder(client, name, CHALLENGER) == version:
        client.delete_registered_model_alias(name, CHALLENGER)
    was = "" if before in (None, version) else f"; it was version {before}"
    return f"version {version} of {name} is {alias}{was}"


def load_registered(uri: str) -> ScoringModel:
    """Load a scoring model from MLflow by its URI; see `rfmrisk.training.load_model`."""
    mlflow = quiet_mlflow()
    with TemporaryDirectory(prefix="rfmrisk-") as place:
        try:
            reach_store()
            folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=place))
            logged = (mlflow.models.Model.load(str(folder)).metadata or {}).get("rfmrisk")
        except (ValueError, *outside_failures()) as error:  # type: ignore[misc]
            message, where = first_line(error).replace(place, ""), store_uri()
            if out_of_reach(error):
                raise ModelFileError(f"MLflow at {where!r} cannot be reached: {message}") from error
            hint = (
                " (rfmrisk promote VERSION gives it)" if "@" in uri and "alias" in message else ""
            )
            raise ModelFileError(
                f"MLflow at {where!r} has no model {uri!r}: {message}{hint}"
            ) from error
        if not logged:
            raise ModelFileError(f"{uri!r} was not logged by rfmrisk")
        file = folder / MODEL_FILE
        if not file.is_file():
            raise ModelFileError(f"{uri!r} has no {MODEL_FILE}")
        model = ScoringModel(loads(file.read_bytes(), uri), ModelMetadata.from_dict(logged))
    model.check()
    return model


def _judge(
    model: ScoringModel,
    held_out: HeldOut,
    *,
    name: str,
    holder: str | None,
    alias: str,
    margin: float | None,
) -> tuple[str, str]:
    """Return the alias that a new model deserves, and the reason."""
    asked = model.metadata.asked
    if asked["target"] == "proxy" and not asked["outcome"]:
        return CHALLENGER, "a model of its own label, without an outcome window, is no champion"
    if holder is None:
        return alias, f"there was no {alias} before it"
    champion = f"the {alias}, version {holder}"
    try:
        other = load_registered(f"models:/{name}/{holder}")
        rows, which = _to_compare_on(_trained_on(name, holder), held_out)
        histories = held_out.histories[rows]
        risks = [bad_probability(each.pipeline, histories) for each in (model, other)]
    except Exception as error:
        # Whatever an older or foreign model does wrong, the new one must not fail by it.
        return CHALLENGER, (
            f"{champion}, could not be compared by rfmrisk {__version__}: {first_line(error)}; "
            "rfmrisk promote VERSION moves the alias by hand"
        )
    bad = held_out.target[rows] == 1
    weight = None if held_out.sample_weight is None else held_out.sample_weight[rows]
    aucs = bootstrap_auc(
        np.array(risks), bad, histories.index, N_RESAMPLES, 0, sample_weight=weight
    )
    gains = aucs[:, 0] - aucs[:, 1]
    low, high = interval(gains[1:])
    made_by = other.metadata.versions.get("rfmrisk", "unknown")
    if made_by != __version__:
        champion = f"{champion}, of rfmrisk {made_by}"
    least = "" if margin is None else f", by more than {margin:g}"
    figures = (
        f"ROC-AUC {aucs[0, 0]:.4f} against {aucs[0, 1]:.4f}, a difference of {gains[0]:+.4f} "
        f"(95 % interval {low:+.4f} to {high:+.4f}), on {histories.index.nunique():,} held-out "
        f"customers, {which}"
    )
    if low > 0 if margin is None else gains[0] > margin:
        return alias, f"it beats {champion}{least}: {figures}"
    return CHALLENGER, f"it does not beat {champion}{least}: {figures}"


def _trained_on(name: str, version: str) -> pd.MultiIndex:
    """Return the customers and timestamps that a version was trained on, as its run logged them."""
    mlflow = quiet_mlflow()
    run_id = mlflow.MlflowClient().get_model_version(name, version).run_id
    with TemporaryDirectory(prefix="rfmrisk-") as place:
        path = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=f"{ARTIFACTS}/{SAMPLES_FILE}", dst_path=place
        )
        samples = read_table(Path(path).parent, SAMPLES_FILE, needed=("customer", "as_of", "part"))
    trained = samples[samples["part"] == "train"]
    return _samples(trained["customer"], trained["as_of"])


def _to_compare_on(trained_on: pd.MultiIndex, held_out: HeldOut) -> tuple[np.ndarray, str]:
    """Return the rows to compare on, and a word on what the present holder has seen of them."""
    customers = held_out.histories.index
    seen = _samples(customers.astype(str), held_out.histories["as_of"]).isin(trained_on)
    if not seen.any():
        rows, which = ~seen, "none of whom that one was trained on"
    elif held_out.enough(~seen):
        n_seen = customers[seen].nunique()
        rows, which = ~seen, f"without the {n_seen:,} whom that one was trained on"
    else:
        n_seen = customers[seen].nunique()
        rows = np.ones(len(seen), dtype=bool)
        which = f"{n_seen:,} of whom that one was trained on, which flatters it"
    last = rows & held_out.is_last
    if last.any() and not last.all() and held_out.enough(last):
        return last, f"{which}, at the last decisions"
    return rows, which


def _samples(customers: Any, as_of: Any) -> pd.MultiIndex:
    """Return pairs of a customer and a timestamp: what a model has been trained on or not."""
    timestamps = pd.to_datetime(pd.Series(np.asarray(as_of)), format="ISO8601")
    return pd.MultiIndex.from_arrays([np.asarray(customers, dtype=object), timestamps])


def _quoted(name: str) -> str:
    """Return a name as MLflow's filters take it."""
    return f'"{name}"' if "'" in name else f"'{name}'"


def _holder(client: Any, name: str, alias: str) -> str | None:
    """Return the version that has an alias, or None."""
    return _registered(client, name).get(alias)


def _registered(client: Any, name: str) -> dict[str, str]:
    """Return the version of each alias of a registered model."""
    found = client.search_registered_models(f"name = {_quoted(name)}")
    return {alias: str(version) for model in found for alias, version in model.aliases.items()}


def _versions(client: Any, name: str) -> list[str]:
    found = client.search_model_versions(f"name = {_quoted(name)}")
    return sorted((str(version.version) for version in found), key=int)


def _version_of(client: Any, name: str, run_id: str) -> str | None:
    """Return the version that a run has registered, if it has."""
    found = client.search_model_versions(f"name = {_quoted(name)} and run_id = '{run_id}'")
    return str(found[0].version) if found else None


def _ensure(client: Any, name: str, undo: list[Any]) -> None:
    """Make the registered model if there is none; another training may be doing the same."""
    if client.search_registered_models(f"name = {_quoted(name)}"):
        return
    try:
        client.create_registered_model(name)
    except quiet_mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return

    def remove_if_empty() -> None:
        if not _versions(client, name):
            client.delete_registered_model(name)

    undo.append(remove_if_empty)


def _create(
    client: Any, name: str, *, model_id: str, run_id: str, tags: dict[str, str], undo: list[Any]
) -> str:
    made = client.create_model_version(
        name, source=f"models:/{model_id}", run_id=run_id, model_id=model_id, tags=tags
    )
    undo.append(lambda: client.delete_model_version(name, made.version))
    return str(made.version)
