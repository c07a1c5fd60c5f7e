"""Saving and loading without running code."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from rfmrisk import Scorecard, WOEEncoder, customer_features, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.persistence import ModelFileError, dump, load
from rfmrisk.proxy import ProxyTargetClassifier
from rfmrisk.scoring import ScoringModel

DATA = Path(__file__).parent / "data"


class Stranger(LogisticRegression):
    """An estimator that the package does not know."""


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(n_customers=300, random_state=0))


@pytest.mark.parametrize("last", [[WOEEncoder(), LogisticRegression()], [Scorecard()]])
def test_a_round_trip_predicts_bit_for_bit_the_same(histories, tmp_path, last):
    """A saved pipeline, and the estimator around it, predict what the fitted ones did."""
    model = ProxyTargetClassifier(make_pipeline(customer_features(), *last)).fit(histories)
    dump(model, tmp_path / "model.skops")
    again = load(tmp_path / "model.skops")
    past = rewind(histories, "10D")
    np.testing.assert_array_equal(again.predict_proba(past), model.predict_proba(past))
    assert again.score(histories) == model.score(histories)


def test_unknown_types_are_refused_both_ways(tmp_path):
    """A type that is not on the list can be neither saved nor loaded."""
    model = Stranger().fit([[0], [1]], [0, 1])
    with pytest.raises(ModelFileError, match="Stranger"):
        dump(model, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []
    skops.io.dump(model, tmp_path / "foreign.skops")
    with pytest.raises(ModelFileError, match="not trusted"):
        load(tmp_path / "foreign.skops")


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code has run')",)


def test_a_malicious_file_never_runs(tmp_path):
    """A pickle under the name of a model is refused unread."""
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ModelFileError, match="not a whole model file"):
        load(path)


def altered(path, change):
    """Save a small model, and change the description inside the file."""
    dump(LogisticRegression().fit([[0], [1]], [0, 1]), path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    change(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | {"schema.json": json.dumps(schema)}).items():
            archive.writestr(name, content)
    return path


CALL = {"__module__": "os", "__class__": "system", "__loader__": "FunctionNode", "__id__": 1}
REDUCED = {
    "__module__": "builtins",
    "__class__": "exec",
    "__loader__": "ReduceNode",
    "__id__": 2,
    "reduce": {"args": ["raise SystemExit"]},
    "content": {},
}


@pytest.mark.parametrize(
    "node",
    [
        CALL,
        CALL | {"content": {"module_path": "os", "function": "system"}},
        REDUCED,
        {"__module__": "subprocess", "__class__": "Popen", "__loader__": "ObjectNode", "__id__": 3},
        {"__module__": "os", "__class__": "system", "__loader__": "TypeNode", "__id__": 4},
        {"__module__": "functools", "__class__": "partial", "__loader__": "PartialNode"},
        {"__module__": "operator", "__class__": "methodcaller", "__loader__": "OperatorFuncNode"},
        {"__module__": "os", "__class__": "x", "__loader__": "NoSuchNode", "__id__": 5},
    ],
)
def test_code_inside_of_a_model_file_never_runs(tmp_path, node, monkeypatch):
    """A file of the right form that names a function or a foreign type is refused, whole."""
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("code has run"))

    def inside(schema):
        schema["content"]["content"]["C"] = node

    def instead(schema):
        schema.update(node)

    for change in (inside, instead):
        with pytest.raises(ModelFileError, match=r"refused|not a whole model file"):
            load(altered(tmp_path / "model.skops", change))


def test_a_file_that_holds_itself_is_refused(tmp_path):
    """A description nested without end is one more broken file."""
    deep = tmp_path / "deep.skops"
    with zipfile.ZipFile(deep, "w") as archive:
        archive.writestr("schema.json", "[" * 200_000)
    with pytest.raises(ModelFileError, match="not a whole model file"):
        load(deep)


def test_broken_files_give_one_kind_of_error(tmp_path):
    """Missing, empty, cut off, or an archive of something else: one exception that says which."""
    whole = tmp_path / "whole.skops"
    dump(LogisticRegression().fit([[0], [1]], [0, 1]), whole)
    data = whole.read_bytes()
    broken = tmp_path / "broken.skops"
    with pytest.raises(ModelFileError, match="there is no model file"):
        load(broken)
    for content in (b"", b"text", data[: len(data) // 2]):
        broken.write_bytes(content)
        with pytest.raises(ModelFileError, match="not a whole model file"):
            load(broken)
    for name, content in (("schema.json", "{"), ("schema.json", "[]"), ("other.txt", "")):
        with zipfile.ZipFile(broken, "w") as archive:
            archive.writestr(name, content)
        with pytest.raises(ModelFileError, match="not a whole model file"):
            load(broken)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("release", sorted(entry.name for entry in DATA.iterdir()))
def test_models_of_former_releases_score_as_they_did(release):
    """A model that a release saved loads, and gives the scores and reasons that it gave then."""
    histories = pd.read_parquet(DATA / release / "histories.parquet", dtype_backend="pyarrow")
    scores = ScoringModel.load(DATA / release).score(histories.set_index("customer"))
    expected = pd.read_csv(
        DATA / release / "scores.csv", index_col="customer", parse_dates=["as_of"]
    )
    pd.testing.assert_frame_equal(
        scores.replace("", np.nan), expected, check_dtype=False, check_index_type=False, rtol=1e-9
    )


def tampered(path, model, change):
    """Save a model with its description or its arrays changed."""
    dump(model, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    change(schema, files)
    files["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_type_of_the_list_is_never_called(tmp_path):
    """A file cannot give a Booster the path of a file that it would open, however it is written."""
    pytest.importorskip("xgboost", reason="the extra 'train' is not installed")
    secret = tmp_path / "secret.txt"
    secret.write_text("the password of the bank")
    arguments = [
        {"__module__": "builtins", "__class__": "str", "__loader__": "JsonNode", "content": text}
        for text in ("null", "null", json.dumps(str(secret)))
    ]
    called = {
        "__module__": "xgboost.core",
        "__class__": "Booster",
        "__loader__": "ConstructorFromReduceNode",
        "content": {
            "__module__": "builtins",
            "__class__": "tuple",
            "__loader__": "TupleNode",
            "content": arguments,
        },
    }

    def change(schema, _):
        schema["content"]["content"]["C"] = called

    model = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(ModelFileError, match="refused") as refused:
        load(tampered(tmp_path / "model.skops", model, change))
    assert "password" not in str(refused.value)
    by_type = {"__module__": "xgboost.core", "__class__": "Booster", "__loader__": "TypeNode"}

    def as_type(schema, _):
        schema["content"]["content"]["C"] = by_type

    with pytest.raises(ModelFileError, match="by TypeNode, which may call it"):
        load(tampered(tmp_path / "model.skops", model, as_type))


def test_what_a_library_says_of_a_broken_file_is_not_repeated(tmp_path):
    """It may quote the file, and what a file says may be another file's."""
    path = tmp_path / "model.skops"
    dump(LogisticRegression().fit([[0], [1]], [0, 1]), path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({"__loader__": "the secret"}))
    with pytest.raises(ModelFileError) as error:
        load(path)
    assert "the secret" not in str(error.value)


def _nodes_of(schema, files):
    tree = schema["content"]["content"]["tree_"]
    name = tree["content"]["content"]["nodes"]["file"]
    return name, np.load(io.BytesIO(files[name]))


def _with_nodes(field, value):
    def change(schema, files):
        name, nodes = _nodes_of(schema, files)
        nodes[field][0] = value
        written = io.BytesIO()
        np.save(written, nodes)
        files[name] = written.getvalue()

    return change


def _with_text(*path, text):
    def change(schema, _):
        node = schema["content"]["content"]
        for step in path:
            node = node[step]
        node["content"] = text

    return change


def _with_second_tree(schema, _):
    # One object by its id, of which the second description is another.
    attributes = schema["content"]["content"]
    other = json.loads(json.dumps(attributes["tree_"]))
    other["__reduce__"]["args"]["content"][0]["content"] = "999"
    attributes["random_state"] = other


@pytest.mark.parametrize(
    "change",
    [
        _with_nodes("left_child", 0),
        _with_nodes("left_child", 10**9),
        _with_nodes("right_child", -5),
        _with_nodes("left_child", -1),
        _with_nodes("feature", 10**6),
        _with_nodes("feature", -3),
        _with_text("tree_", "content", "content", "node_count", text="1000000"),
        _with_text("tree_", "__reduce__", "args", "content", 0, text="500"),
        _with_text("tree_", "__reduce__", "args", "content", 2, text="100000"),
        _with_text("n_features_in_", text="1"),
        _with_second_tree,
    ],
)
def test_a_tree_that_leads_astray_is_refused(tmp_path, change):
    """scikit-learn follows the nodes of a tree unseen: into a loop, or out of its memory."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 3))
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(features, features[:, 0] > 0.3)
    with pytest.raises(ModelFileError, match="refused"):
        load(tampered(tmp_path / "model.skops", tree, change))
    dump(tree, tmp_path / "sound.skops")
    again = load(tmp_path / "sound.skops")
    assert np.array_equal(again.predict_proba(features), tree.predict_proba(features))


def _with_array(name, change):
    def tamper(schema, files):
        file = schema["content"]["content"][name]["file"]
        written = io.BytesIO()
        np.save(written, change(np.load(io.BytesIO(files[file]))))
        files[file] = written.getvalue()

    return tamper


MACHINE = [
    _with_array("_n_support", lambda counts: counts * 1_000),
    _with_array("_n_support", lambda counts: counts * [-1, 1]),
    _with_array("_n_support", lambda counts: counts[:1]),
    _with_array("support_vectors_", lambda vectors: vectors[:, :1]),
    _with_array("support_vectors_", lambda vectors: vectors[:2]),
    _with_array("support_", lambda rows: rows[:2]),
    _with_array("_dual_coef_", lambda weights: weights[:, :2]),
    _with_array("_intercept_", lambda offsets: offsets[:0]),
    _with_array("classes_", lambda _: np.arange(50)),
    _with_text("n_features_in_", text="300"),
    _with_text("_sparse", text="true"),
    _with_text("kernel", text='"precomputed"'),
]
NEIGHBOURS = [
    _with_array("_y", lambda classes: classes + 10**6),
    _with_array("_y", lambda classes: classes - 5),
    _with_array("_y", lambda classes: classes[:3]),
    _with_array("_fit_X", lambda points: points[:, :1]),
    _with_array("classes_", lambda classes: classes[:1]),
    _with_text("n_features_in_", text="300"),
    _with_text("n_samples_fit_", text="1000000"),
]


@pytest.mark.parametrize(
    ("model", "change"),
    [(SVC(), change) for change in MACHINE]
    + [(KNeighborsClassifier(algorithm="brute"), change) for change in NEIGHBOURS],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, model, change):
    """Compiled code follows support vectors and neighbours unseen, out of its memory."""
    features = np.random.default_rng(0).normal(size=(100, 3))
    model = clone(model).fit(features, features[:, 0] > 0.3)
    with pytest.raises(ModelFileError, match="refused"):
        load(tampered(tmp_path / "model.skops", model, change))
    dump(model, tmp_path / "sound.skops")
    again = load(tmp_path / "sound.skops")
    assert np.array_equal(again.predict(features), model.predict(features))
