"""How the documentation is built."""

from rfmrisk import __version__

project = "rfmrisk"
author = "The rfmrisk developers"
project_copyright = "2026, The rfmrisk developers"
release = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"rfmrisk {release}"

autosummary_generate = True
default_role = "autolink"
numpydoc_show_class_members = False
myst_heading_anchors = 3
# Inherited docstrings refer to pages of scikit-learn's own documentation.
suppress_warnings = ["ref.ref"]
