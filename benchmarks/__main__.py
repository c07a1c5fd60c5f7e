"""Run all benchmarks, or those named, with their options: python -m benchmarks door --large."""

import importlib
import pkgutil
import sys
from itertools import takewhile
from pathlib import Path

known = [
    module.name
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if not module.name.startswith("_")
]
asked = list(takewhile(lambda argument: not argument.startswith("-"), sys.argv[1:]))
options = sys.argv[len(asked) + 1 :]
for name in asked or known:
    if name not in known:
        sys.exit(f"there is no benchmark {name!r}; there are {known}")
    print(f"\n{name}\n{'=' * len(name)}")
    sys.argv = [f"benchmarks.{name}", *options]
    importlib.import_module(f"benchmarks.{name}").main()
