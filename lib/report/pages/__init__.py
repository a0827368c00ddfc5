"""The pages of this project: README, docs/ and the site, with tables and numbers drawn from the results.

``python -m lib.report.pages`` (``make pages``) fills the generated parts anew (`filling`); with ``--check`` it names
the pages that are stale. ``python -m lib.report.pages site FOLDER`` lays the sources of the site together (`site`).
"""
