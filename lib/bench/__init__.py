"""Benchmarks that anyone can run: ``python -m lib bench data|models|inference``; each prints a table and writes JSON.

`data` measures conversion and loading, `models` training steps beside `textbook` versions and libraries, `inference`
the ASE calculator; `measuring` is how.
"""
