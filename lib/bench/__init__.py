"""Benchmarks that anyone can run: ``python -m lib bench data|models``; each prints a table and writes JSON if asked to.

`data` measures conversion and loading, `models` training steps and inference beside `textbook` versions and libraries.
"""
