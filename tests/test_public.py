"""What the package shows of itself, and what it brings along."""

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
    modules = {name.stem for name in Path(rfmrisk.__file__).parent.iterdir()}
    public = {name for name in vars(rfmrisk) if not name.startswith("_")} - modules
    assert public == set(rfmrisk.__all__)
    for name in rfmrisk.__all__:
        assert getattr(rfmrisk, name).__doc__


def test_importing_the_package_imports_none_of_the_extras():
    """The core works alone: an import brings no MLflow, no Litestar, nothing to draw with."""
    code = f"import rfmrisk, sys; print([m for m in {EXTRAS} if m in sys.modules])"
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
    one = names["ProxyTargetClassifier"](names["model"], outcome="30D").fit(histories)
    assert (one.predict_proba(histories) == direct).all()
    assert "ProxyTargetClassifier" in repr(one)
