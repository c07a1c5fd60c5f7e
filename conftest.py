"""Leave out the tests and examples of the scoring app where its extra is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("litestar") else ["rfmrisk/serving", "tests/serving"]
