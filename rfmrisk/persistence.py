"""Save and load fitted estimators without ever running code from a file.

skops reads a file as data and builds only types that it trusts: those of scikit-learn, NumPy and
SciPy that it knows, the package's own in `TRUSTED_TYPES`, and those that the caller trusts by
name. Nothing that a file says of itself adds to the list.
"""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

__all__ = ["TRUSTED_TYPES", "ModelFileError", "dump", "load"]

TRUSTED_TYPES = [
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.dtype",
    "rfmrisk.aggregation.application.ApplicationColumns",
    "rfmrisk.aggregation.category.CategoryAggregator",
    "rfmrisk.aggregation.union.CustomerFeatures",
    "rfmrisk.aggregation.rfm.RFMAggregator",
    "rfmrisk.aggregation.spend.SpendAggregator",
    "rfmrisk.aggregation.temporal.TemporalAggregator",
    "rfmrisk.proxy.classifier.ProxyTargetClassifier",
    "rfmrisk.proxy.labeler.ProxyLabeler",
    "rfmrisk.proxy.updating.OutcomeUpdatedClassifier",
    "rfmrisk.scorecard.scorecard.Scorecard",
    "rfmrisk.scorecard.selection.StepwiseSelector",
    "rfmrisk.woe.encoder.WOEEncoder",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
]


class ModelFileError(ValueError):
    """A model file is missing, broken, or holds a type that is not trusted."""


def dump(estimator: Any, path: str | Path, *, trusted: Sequence[str] = ()) -> None:
    """Save a fitted estimator in skops format.

    The file is written beside its final place and moved there when it is whole.

    Parameters
    ----------
    estimator : estimator
        Any estimator of this package or of scikit-learn, or a pipeline of them.
    path : str or Path
        Where to, by convention with the ending ``.skops``.
    trusted : sequence of str, default=()
        Types of one's own that the estimator may hold, such as ``"mymodule.MyAggregator"``.

    Raises
    ------
    ModelFileError
        The estimator holds types that `load` would refuse; nothing is written.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk import RFMAggregator
    >>> from rfmrisk.persistence import dump, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dump(RFMAggregator(window="30D"), f"{folder}/rfm.skops")
    ...     load(f"{folder}/rfm.skops")
    RFMAggregator(window='30D')
    """
    data = skops.io.dumps(estimator, compression=zipfile.ZIP_DEFLATED)
    unknown = untrusted_types(data, trusted)
    if unknown:
        raise ModelFileError(
            f"{type(estimator).__name__} holds types that a model file may not have: {unknown}. "
            f"If they are yours, trust them by name: trusted={unknown}"
        )
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | Path, *, trusted: Sequence[str] = ()) -> Any:
    """Load an estimator that `dump` saved.

    Parameters
    ----------
    path : str or Path
        A file in skops format.
    trusted : sequence of str, default=()
        Types of one's own that the file may hold, such as ``"mymodule.MyAggregator"``; their
        module is imported.

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        The file is missing, is not a model, is broken, or holds a type that is neither
        scikit-learn's nor in `TRUSTED_TYPES` nor ``trusted``. No code of the file has run.
    """
    path = Path(path)
    _check_trusted(trusted)
    if not path.is_file():
        raise ModelFileError(f"there is no model file {str(path)!r}")
    try:
        return skops.io.load(path, trusted=[*TRUSTED_TYPES, *trusted])
    except UntrustedTypesFoundException as error:
        raise ModelFileError(
            f"{str(path)!r} is refused: it holds types that are not trusted. {error}"
        ) from error
    except Exception as error:
        # A broken file raises whatever its place in the loader raises.
        raise ModelFileError(
            f"{str(path)!r} is not a whole model file in skops format: "
            f"{type(error).__name__}: {error}"
        ) from error


def untrusted_types(data: bytes, trusted: Sequence[str] = ()) -> list[str]:
    """Return the types in a skops file that `load` would refuse."""
    _check_trusted(trusted)
    return sorted(set(skops.io.get_untrusted_types(data=data)) - {*TRUSTED_TYPES, *trusted})


def _check_trusted(trusted: Sequence[str]) -> None:
    named = not isinstance(trusted, str) and all(
        isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
        for name in trusted
    )
    if not named:
        raise ValueError(
            f"trusted must be a list of types by name, such as ['mymodule.MyAggregator']; "
            f"got {trusted!r}"
        )
