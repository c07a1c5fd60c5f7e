"""Save and load fitted estimators without ever running code from a file.

skops reads a file as data and builds only types that it trusts: those of scikit-learn, NumPy and
SciPy that it knows, the package's own in `TRUSTED_TYPES`, and those that the caller trusts by
name: in a call (``trusted=``), or for a whole process and its children in the variable
``RFMRISK_TRUSTED``, names separated by commas. Nothing that a file says of itself adds to the list.

A type of the list is made from its state alone: its constructor, to which a file could give a path
to open, is never called. The nodes of trees are checked before scikit-learn follows them, which it
does without looking; so are the arrays of support-vector machines and of neighbours.
"""

import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from rfmrisk.histories.whole_files import write_whole

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
    "rfmrisk.scorecard.grades.Grades",
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


TRUSTED_VARIABLE = "RFMRISK_TRUSTED"

# How `dump` writes these types; written in another way they would be called. All others of the
# list are made from their state.
_LOADERS = {
    "collections.OrderedDict": ("DictNode", "TypeNode"),
    "numpy.dtype": ("DTypeNode", "TypeNode"),
    "sklearn.tree._tree.Tree": ("TreeNode",),
}
_FROM_STATE = ("ObjectNode",)
_CALLS = "ConstructorFromReduceNode"


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
        Types of one's own that the estimator may hold, such as ``"mymodule.MyAggregator"``,
        beside those that ``RFMRISK_TRUSTED`` names.

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
        raise ModelFileError(f"{type(estimator).__name__} {refusal(unknown)}")
    write_whole(Path(path), data)


def load(path: str | Path, *, trusted: Sequence[str] = ()) -> Any:
    """Load an estimator that `dump` saved.

    Parameters
    ----------
    path : str or Path
        A file in skops format.
    trusted : sequence of str, default=()
        Types of one's own that the file may hold, such as ``"mymodule.MyAggregator"``, beside
        those that ``RFMRISK_TRUSTED`` names; their module is imported.

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
    all_trusted(trusted)
    if not path.is_file():
        raise ModelFileError(f"there is no model file {str(path)!r}")
    return loads(path.read_bytes(), str(path), trusted=trusted)


def loads(data: bytes, name: str, *, trusted: Sequence[str] = ()) -> Any:
    """Load an estimator from the content of a file; ``name`` is for errors; as `load`."""
    trusted = all_trusted(trusted)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _Inspection(archive, name, trusted).check()
        estimator = skops.io.loads(data, trusted=[*TRUSTED_TYPES, *trusted])
    except ModelFileError:
        raise
    except ModuleNotFoundError as error:
        owners = [each for each in trusted if each.startswith(f"{error.name}.")]
        if not owners:
            raise _broken(name, error) from error
        raise ModelFileError(
            f"{name!r} holds {owners[0]}, and there is no module {error.name!r}; put the folder of "
            "it on PYTHONPATH"
        ) from error
    except UntrustedTypesFoundException as error:
        raise ModelFileError(
            f"{name!r} is refused: it holds types that are not trusted. {error}"
        ) from error
    except Exception as error:
        raise _broken(name, error) from error
    return estimator


def _broken(name: str, error: Exception) -> ModelFileError:
    """Say that a file cannot be read; what its error says may be taken from the file."""
    return ModelFileError(
        f"{name!r} is not a whole model file in skops format ({type(error).__name__})"
    )


def untrusted_types(data: bytes, trusted: Sequence[str] = ()) -> list[str]:
    """Return the types in a skops file that `load` would refuse."""
    known = {*TRUSTED_TYPES, *all_trusted(trusted)}
    return sorted(set(skops.io.get_untrusted_types(data=data)) - known)


def refusal(unknown: list[str]) -> str:
    """Say why what holds such types is refused, and how they are trusted."""
    return (
        f"holds types that a model file may not have: {unknown}. If they are yours, trust them by "
        f"name: trusted={unknown}, --trust or {TRUSTED_VARIABLE}"
    )


class _Inspection:
    """Look through the description of a model file before anything is made of it."""

    def __init__(self, archive: zipfile.ZipFile, name: str, trusted: Sequence[str]) -> None:
        self._archive, self._name, self._trusted = archive, name, trusted

    def check(self) -> None:
        """Refuse what would call a type, and arrays that would lead out of their memory."""
        seen: dict[Any, tuple] = {}
        held = set()  # trees that are the tree of an estimator
        schema = json.loads(self._archive.read("schema.json"))
        for node in _nodes(schema):
            # skops makes one object of all that have one id.
            if "__id__" in node and seen.setdefault(node["__id__"], _told(node)) != _told(node):
                raise self._refused("two objects have one id")
            made, loader = f"{node.get('__module__')}.{node.get('__class__')}", node["__loader__"]
            known = made in TRUSTED_TYPES and loader not in _LOADERS.get(made, _FROM_STATE)
            if known or (loader == _CALLS and made not in self._trusted):
                raise self._refused(f"it would make a {made} by {loader}, which may call it")
            attributes = (node.get("content") or {}) if loader == "ObjectNode" else {}
            attributes = attributes.get("content", {})
            if not isinstance(attributes, dict):
                continue
            if "_dual_coef_" in attributes:
                self._check_support_vectors(attributes)
            if "_fit_X" in attributes:
                self._check_neighbours(attributes)
            if "tree_" in attributes:
                tree = attributes["tree_"]
                self._check_tree(tree, json.loads(attributes["n_features_in_"]["content"]))
                held.add(id(tree))
        if any(
            node["__loader__"] == "TreeNode" and id(node) not in held for node in _nodes(schema)
        ):
            raise self._refused("it holds a tree that is no estimator's")

    def _check_tree(self, tree: dict[str, Any], n_features: int) -> None:
        """Refuse a tree whose nodes lead elsewhere than on, or look at features that are not."""
        arguments, state = tree["__reduce__"]["args"]["content"], tree["content"]["content"]
        sizes = [json.loads(arguments[at]["content"]) for at in (0, 2)]
        n_classes, nodes = self._array(arguments[1]), self._array(state["nodes"])
        count, values = len(nodes), self._array(state["values"])
        sound = (
            tree["__loader__"] == "TreeNode"
            and sizes == [n_features, 1]
            and json.loads(state["node_count"]["content"]) == count > 0
            and n_classes.shape == (1,)
            and 0 < n_classes[0] <= values.size
            and values.shape == (count, 1, n_classes[0])
        )
        if sound:
            left, right, feature = (
                nodes[name] for name in ("left_child", "right_child", "feature")
            )
            inner = left != -1
            own = np.arange(count)
            sound = bool(
                np.all((right != -1) == inner)
                and np.all((own < left)[inner] & (left < count)[inner])
                and np.all((own < right)[inner] & (right < count)[inner])
                and np.all((feature[inner] >= 0) & (feature[inner] < n_features))
            )
        if not sound:
            raise self._refused("the nodes of a tree are not as scikit-learn makes them")

    def _check_support_vectors(self, machine: dict[str, Any]) -> None:
        """Refuse arrays of a support-vector machine that do not go together: libsvm trusts them."""
        names = ("support_vectors_", "support_", "_n_support", "_dual_coef_", "_intercept_")
        vectors, rows, counts, weights, offsets = (self._array(machine[name]) for name in names)
        n_classes = len(self._array(machine["classes_"]))
        n_pairs = n_classes * (n_classes - 1) // 2
        sound = (
            machine["_sparse"]["content"] == "false"
            and machine["kernel"]["content"] != '"precomputed"'
            and vectors.ndim == 2
            and vectors.shape[1] == json.loads(machine["n_features_in_"]["content"])
            and n_classes > 1
            and rows.shape == (len(vectors),)
            and counts.shape == (n_classes,)
            and np.all(counts >= 0)
            and int(counts.sum(dtype=np.int64)) == len(vectors)
            and weights.shape == (n_classes - 1, len(vectors))
            and offsets.shape == (n_pairs,)
            and all(
                self._array(machine[name]).shape in ((0,), (n_pairs,))
                for name in ("_probA", "_probB")
            )
        )
        if not sound:
            raise self._refused(
                "the arrays of a support-vector machine are not as scikit-learn makes them"
            )

    def _check_neighbours(self, model: dict[str, Any]) -> None:
        """Refuse neighbours whose classes are none, or that have other features than the model."""
        points, classes = self._array(model["_fit_X"]), self._array(model["_y"])
        sound = (
            points.ndim == 2
            and points.shape[1] == json.loads(model["n_features_in_"]["content"])
            and json.loads(model["n_samples_fit_"]["content"]) == len(points) > 0
            and classes.shape == (len(points),)
            and classes.dtype.kind == "i"
            and np.all((classes >= 0) & (classes < len(self._array(model["classes_"]))))
        )
        if not sound:
            raise self._refused("the arrays of neighbours are not as scikit-learn makes them")

    def _array(self, node: dict[str, Any]) -> np.ndarray:
        return np.load(io.BytesIO(self._archive.read(node["file"])), allow_pickle=False)

    def _refused(self, reason: str) -> ModelFileError:
        return ModelFileError(f"{self._name!r} is refused: {reason}")


def _told(node: dict[str, Any]) -> tuple:
    """Return what a description says in itself; what it says of its parts is in theirs."""
    loader = node["__loader__"]
    if loader == "TreeNode":
        return loader, node["__reduce__"]["args"]["content"][0]["content"]
    return loader, node.get("file"), node["content"] if loader == "JsonNode" else None


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Give the description of each object in a file."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part:
                yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def all_trusted(trusted: Sequence[str] = ()) -> list[str]:
    """Return the types of one's own that are trusted: those given, and those of the environment.

    Raises
    ------
    ValueError
        A name is none of a type.
    """
    by_environment = os.environ.get(TRUSTED_VARIABLE, "")
    named = [name for name in map(str.strip, by_environment.split(",")) if name]
    for source, names in (("trusted", trusted), (TRUSTED_VARIABLE, named)):
        if isinstance(names, str) or not all(
            isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
            for name in names
        ):
            raise ValueError(
                f"{source} must be a list of types by name, such as ['mymodule.MyAggregator']; "
                f"got {names!r}"
            )
    return [*trusted, *named]
