"""How the documentation is built: offline, with warnings as errors and every example run."""

import os
import sys
import warnings
from pathlib import Path

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
exclude_patterns = ["_build", "_extensions", "gallery/*.ipynb"]
html_theme = "furo"
html_title = f"rfmrisk {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"

autosummary_generate = True
default_role = "autolink"
numpydoc_show_class_members = False
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
    "show_memory": False,
    "remove_config_comments": True,
    "reference_url": {},
    "copyfile_regex": r"^$",
    "image_srcset": ["2x"],
    "show_signature": False,
    "write_computation_times": False,
}
# Inherited docstrings refer to pages of scikit-learn's own documentation.
suppress_warnings = ["ref.ref", "config.cache"]
