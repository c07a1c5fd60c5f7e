"""The documentation: its code runs, and the API reference leaves nothing public out."""

import importlib
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ["metrics", "persistence", "plotting", "proxy", "scorecard", "scoring", "training"]
ROOMS += ["aggregation", "datasets", "serving"]
# Modules of a few functions, which have no __all__.
SMALL_ROOMS = {}
if find_spec("pyspark"):
    SMALL_ROOMS["spark"] = ["predict", "to_histories", "transform"]

# What is public and has no example of its own in its docstring, nor in one of its methods.
WITHOUT_EXAMPLE = {
    "rfmrisk.persistence.ModelFileError": "raised in the example of load_model",
    "rfmrisk.persistence.load": "part of the example of dump",
    "rfmrisk.proxy.LabelStability": "what label_stability returns, in its example",
    "rfmrisk.proxy.OutcomeCurve": "what outcome_curve returns, in its example",
    "rfmrisk.scoring.Reason": "part of the example of PhraseBook",
    "rfmrisk.proxy.LeakageReport": "what leakage_report returns, in its example",
    "rfmrisk.proxy.ProxyValidation": "what validate_proxy returns, in its example",
    "rfmrisk.proxy.RollingOrigin": "what rolling_origin returns, in its example",
    "rfmrisk.serving.ScoringApp": "what create_app returns, in its example",
    "rfmrisk.training.Registration": "needs a registry: examples/plot_07_tracking.py",
    "rfmrisk.training.TrackingError": "needs a store that fails: tests/training",
    "rfmrisk.training.TrainingResult": "what train returns, in its example",
    "rfmrisk.training.promote": "needs a registry: examples/plot_07_tracking.py",
}
PAGES = sorted(
    page
    for page in ROOT.glob("docs/**/*.md")
    if "_build" not in page.parts and "```python\n" in page.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path):
    """The Python on a page runs from top to bottom, without a warning."""
    for extra in ("matplotlib", "mlflow", "litestar"):
        pytest.importorskip(extra, reason="the pages show the extras too")
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    if not (find_spec("pyspark") and (shutil.which("java") or os.environ.get("JAVA_HOME"))):
        blocks = [code for code in blocks if "spark" not in code]
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def public_names() -> list[tuple[str, object]]:
    """Give every public object under the name by which one imports it."""
    found = []
    for room in ["rfmrisk", *(f"rfmrisk.{room}" for room in ROOMS)]:
        module = pytest.importorskip(room, exc_type=ImportError, reason="an extra is absent")
        found += [(f"{room}.{name}", getattr(module, name)) for name in module.__all__]
    for room, names in SMALL_ROOMS.items():
        module = importlib.import_module(f"rfmrisk.{room}")
        found += [(f"rfmrisk.{room}.{name}", getattr(module, name)) for name in names]
    return found


def test_the_reference_has_every_public_name():
    """Whatever __all__ of a public module names is in docs/api.rst, and nothing else is."""
    text = (ROOT / "docs/api.rst").read_text(encoding="utf-8")
    names = re.findall(r"^(?:   |.. py:data:: )([\w.]+)$", text, re.M)
    listed = {f"rfmrisk.{name}" for name in names}
    if "spark" not in SMALL_ROOMS:
        listed -= {name for name in listed if name.startswith("rfmrisk.spark.")}
    public = dict(public_names())
    missing = [
        name for name, value in public.items() if name not in listed and not alias(value, listed)
    ]
    assert not missing
    unknown = [name for name in listed if not exists(name)]
    assert not unknown


def alias(value: object, listed: set[str]) -> bool:
    """Tell whether an object is listed under the package's own name for it."""
    import rfmrisk

    name = getattr(value, "__name__", "")
    return f"rfmrisk.{name}" in listed and getattr(rfmrisk, name, None) is value


def exists(name: str) -> bool:
    """Tell whether there is such an object."""
    module, _, attribute = name.rpartition(".")
    return hasattr(importlib.import_module(module), attribute)


def test_public_things_have_an_example():
    """Each public class and function has an example that pytest runs, but for a reasoned few."""
    bare = set()
    for name, value in public_names():
        if callable(value):
            members = vars(value).values() if isinstance(value, type) else []
            told = [value, *(member for member in members if inspect.isroutine(member))]
            texts = [getattr(thing, "__doc__", None) or "" for thing in told]
            if not any(">>>" in text for text in texts):
                bare.add(name)
    assert bare == set(WITHOUT_EXAMPLE)


def test_the_page_of_the_command_line_is_that_of_the_parser():
    """docs/cli.md has every command and option; docs/_extensions/commands.py writes it."""
    pytest.importorskip("mlflow", reason="the parser lists the models of the extra 'train'")
    place = ROOT / "docs" / "_extensions" / "commands.py"
    spec = importlib.util.spec_from_file_location("commands", place)
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)
    assert commands.written() == commands.PAGE.read_text(encoding="utf-8"), f"run python {place}"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.stem)
def test_pages_are_readable_where_they_lie(page):
    """A page that a code host shows has no role of Sphinx, and its links lead to files."""
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"\{(?:py:\w+|term|doc|ref)\}`", text)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists() or "gallery/" in target, target
