"""Run all benchmarks, or those named: python -m benchmarks door."""

import importlib
import pkgutil
import sys
from pathlib import Path

names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
known = [name for name in names if not name.startswith("_")]
for name in sys.argv[1:] or known:
    if name not in known:
        sys.exit(f"there is no benchmark {name!r}; there are {known}")
    print(f"\n{name}\n{'=' * len(name)}")
    importlib.import_module(f"benchmarks.{name}").main()
