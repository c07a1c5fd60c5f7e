"""Leave out the tests and examples of extras that are not installed."""

import os
import shutil
from importlib.util import find_spec

collect_ignore = [] if find_spec("litestar") else ["rfmrisk/serving", "tests/serving"]
if not (find_spec("pyspark") and (shutil.which("java") or os.environ.get("JAVA_HOME"))):
    collect_ignore.append("rfmrisk/spark.py")
