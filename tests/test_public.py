"""What the package shows of itself, and what it brings along."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rfmrisk

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ["jinja2", "litestar", "matplotlib", "mlflow", "pyspark", "xgboost"]


def test_all_is_the_public_surface_and_sorted():
    """Every public name of the package is in __all__, in order, and has a docstring."""
    assert sorted(rfmrisk.__all__) == rfmrisk.__all__
    assert sorted(name for names in rfmrisk._HOMES.values() for name in names) == rfmrisk.__all__
    assert set(rfmrisk.__all__) <= set(dir(rfmrisk))
    for name in rfmrisk.__all__:
        assert getattr(rfmrisk, name).__doc__


@pytest.mark.parametrize(
    "package", ["rfmrisk", "rfmrisk.histories", "rfmrisk.scoring", "rfmrisk.validation"]
)
def test_type_checkers_see_the_public_surface(package):
    """What is imported for type checkers is what is imported when it is used."""
    lazy = importlib.import_module(package)
    tree = ast.parse(Path(lazy.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        node.module.removeprefix(f"{package}."): [alias.name for alias in node.names]
        for node in block.body
    }
    assert imported == lazy._HOMES
    assert sorted(name for names in imported.values() for name in names) == sorted(lazy.__all__)


def test_a_name_that_is_not_there():
    """An unknown name is an error that names it."""
    with pytest.raises(AttributeError, match="module 'rfmrisk' has no attribute 'RFM'"):
        rfmrisk.RFM  # noqa: B018


def test_opening_the_door_does_not_wait_for_models():
    """What is not used is not imported: neither the models nor scikit-learn's."""
    code = "from rfmrisk import to_histories; import sys; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_the_package_imports_none_of_the_extras():
    """The core works alone: an import brings no MLflow, no Litestar, nothing to draw with."""
    code = f"from rfmrisk import *; import sys; print([m for m in {EXTRAS} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_dozen_lines_of_the_readme_run():
    """The README's Python is what a user can type, and its results can be told to others."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 (the README is ours)
    search, histories = names["search"], names["histories"]
    assert 0.8 < search.best_score_ < 1
    assert search.predict_proba(histories).shape == (2_000, 2)
    direct = names["model"].fit(names["past"], names["y"]).predict_proba(histories)
    one = names["ProxyTargetClassifier"](names["model"], outcome="30D", n_cutoffs=1).fit(histories)
    assert (one.predict_proba(histories) == direct).all()
    assert "ProxyTargetClassifier" in repr(one)


PLACES = [
    "CONTRIBUTING.md",
    *(f"rfmrisk/{package}/README.md" for package in ("training", "scoring", "serving")),
]


@pytest.mark.parametrize("page", PLACES)
def test_the_places_that_are_named_exist(page):
    """Each file in a table of what to edit is there, and each name in it is in that file."""
    folder = (ROOT / page).parent
    rows = [
        line
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and "`" in line
    ]
    assert rows
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split("|")[2])
        files = [name for name in named if "/" in name or name.endswith((".py", ".json", ".md"))]
        places = [folder / name if (folder / name).exists() else ROOT / name for name in files]
        assert places, row
        assert all(place.exists() for place in places), row
        text = "".join(place.read_text(encoding="utf-8") for place in places if place.is_file())
        for name in set(named) - set(files):
            assert name.rsplit(".", 1)[-1] in text, (row, name)


def test_no_two_modules_share_a_name():
    """A module is found by its name alone."""
    names = [path.name for path in (ROOT / "rfmrisk").rglob("*.py") if path.name != "__init__.py"]
    assert sorted(names) == sorted(set(names))


def test_help_waits_for_nothing_that_computes():
    """The command line shows its help without the libraries that read logs and fit models."""
    heavy = "numpy", "pandas", "pyarrow", "scipy", "sklearn", "skops"
    asked = f"""
import sys
from rfmrisk.cli import main
try:
    main(["--help"])
except SystemExit:
    print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n"), done.stdout
