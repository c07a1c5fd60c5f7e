"""What is written for those who carry the project on: it holds."""

import re
import sys
import types
from pathlib import Path

import pytest

import rfmrisk
from tests.history_checks import HISTORY_CHECKS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def example(monkeypatch):
    """Make the aggregator of CONTRIBUTING.md a module of the package."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(code.splitlines()) <= 40
    module = types.ModuleType("rfmrisk.aggregation.concentration")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))  # noqa: S102 (the page is ours)
    return module.ConcentrationAggregator


@pytest.mark.parametrize("window", [None, "30D"])
@pytest.mark.parametrize("check", HISTORY_CHECKS, ids=lambda check: check.__name__)
def test_the_aggregator_of_contributing_passes_every_check(example, check, window):
    """Whoever writes an aggregator as CONTRIBUTING.md says has one that passes our checks."""
    check(example(window=window))


def test_the_citation_names_the_version():
    """CITATION.cff is of this version."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {rfmrisk.__version__}\n" in citation


def test_every_session_that_ci_or_a_page_names_exists():
    """The nox sessions that workflows, pages and the release steps name are in noxfile.py."""
    sessions = set(
        re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.M)
    )
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    pages += ROOT.glob(".github/**/*.yml")
    named = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"nox -s ((?:\w+ ?)+)", text):
            named |= set(line.split())
        for line in re.findall(r"session: \[(.*)\]", text):
            named |= {name.strip() for name in line.split(",")}
    assert named
    assert named <= sessions
