"""Sphinx's configuration: `make docs`."""

import sys
from pathlib import Path

# the extension of this folder is docs.extension
sys.path.insert(0, str(Path(__file__).parents[1]))

project = "macforge"
author = "The macforge authors"
release = "0.1.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs.extension"]
exclude_patterns = ["_static"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# single backquotes in docstrings are code
default_role = "code"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False

html_theme = "furo"
html_title = "macforge"
html_static_path = ["_static"]
html_css_files = ["site.css"]
