"""The gallery: every example runs, as a process of its own and without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def test_there_are_examples():
    """The gallery is where the other tests look for it."""
    assert len(EXAMPLES) >= 11


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_example(script, tmp_path):
    """An example runs from any folder, leaves nothing there, and its reader is not warned."""
    for extra in ("matplotlib", "mlflow", "litestar"):
        pytest.importorskip(extra, reason="the examples draw, track and serve")
    environment = {name: text for name, text in os.environ.items() if name[:7] != "MLFLOW_"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script)],
        cwd=tmp_path,
        env=environment
        | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path.parent)}
        | {"PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(script.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
