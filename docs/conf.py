"""How Sphinx builds the site: `nox -s docs`. Its source is the whole project, so that links have a target.

Pages are plain Markdown. What a site needs besides, their order and pages for linked files, comes from
docs/site.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

project = "outbox_sdk"
author = "outbox_sdk contributors"
project_copyright = author
html_title = "outbox_sdk"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.site.navigation",
    "docs.site.files",
    "docs.site.api",
    "docs.site.references",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "deploy/*/README.md",
    "examples/*/README.md",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "dist", "src", "tests", "benchmarks", "requirements", "tools"]
suppress_warnings: list[str] = []

# What is quoted is often to be typed.
smartquotes = False
# Anchors are those of a code host.
myst_heading_anchors = 4
# Pictures that have a width are written in HTML.
myst_enable_extensions = ["html_image"]

# Everything public is documented by its docstring; what a signature names besides is left as text.
nitpicky = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_theme_options: dict[str, Any] = {"navigation_with_keys": False}
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_baseurl = ""
html_additional_pages = {"index": "front.html"}
templates_path = ["site/templates"]
highlight_language = "text"
pygments_style = "friendly"
pygments_dark_style = "monokai"
