"""How the documentation is built: offline, with warnings as errors and every example run."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

# Small problems are solved fastest by one thread; this has to be said before NumPy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from rfmrisk import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "rfmrisk"
author = "The rfmrisk developers"
project_copyright = "2026, The rfmrisk developers"
release = __version__

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_extensions", "_templates", "gallery/*.ipynb"]
html_theme = "furo"
html_title = f"rfmrisk {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"

templates_path = ["_templates"]
autosummary_generate = True
autodoc_mock_imports = ["pyspark"]  # several hundred megabytes for three docstrings
default_role = "autolink"
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "all",
    "ES01",  # a summary line may say it all
    "EX01",  # tests/test_docs.py asks for examples where a user starts, not in every method
    "PR07",  # "X : DataFrame of shape (n_customers, 2)" needs no sentence
    "RT03",  # nor does "ndarray of shape (n,)" under a summary that says what is returned
    "SA01",  # the user guide relates things to each other
}
# Dataclasses that the package makes and the user reads: their fields are documented as attributes.
# And a function that returns a generator, which is documented under Yields.
numpydoc_validation_exclude = {
    rf"\.{name}$"
    for name in (
        "CatalogueModel",
        "LabelStability",
        "LeakageReport",
        "ProxyTarget",
        "ProxyValidation",
        "Registration",
        "RollingOrigin",
        "ScoringModel",
        "Settings",
        "TrainingResult",
        "histories_in_parts",
        "AucFall",
        "BrierDecomposition",
        "DeLong",
        "HosmerLemeshow",
        "LabelRule",
        "LogCheck",
        "ModelMetadata",
        "MonitorReport",
        "OutcomeCurve",
        "OutcomeWindow",
        "RateTest",
        "Reason",
        "Spiegelhalter",
        "ValidationReport",
    )
}
# The base class of the aggregators documents the methods of all.
numpydoc_validation_exclude |= {
    r"\.\w+(Aggregator|Columns)\.(compute|learn|needed_fields|needed_columns)$"
}
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath", "deflist"]

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# What an example warns of, its reader would be warned of.
warnings.filterwarnings("error", module="__main__")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": False,
    "backreferences_dir": None,
    "plot_gallery": True,
    # What drawing returns says nothing to a reader.
    "ignore_repr_types": r"matplotlib|Display|<class 'list'>",
    "show_memory": False,
    "remove_config_comments": True,
    "reference_url": {},
    "copyfile_regex": r"^$",
    "image_srcset": ["2x"],
    "show_signature": False,
    "write_computation_times": False,
}
suppress_warnings = ["config.cache"]  # the order of files is a function of sphinx-gallery


def skip_foreign(*event: Any) -> bool | None:
    """Leave out what scikit-learn and Litestar give to every class; they document it."""
    _, _, name, obj, *_ = event
    home = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return True if name.endswith("_request") or not home.startswith("rfmrisk") else None


def setup(app: Any) -> None:
    """Set what Sphinx leaves out."""
    app.connect("autodoc-skip-member", skip_foreign)
