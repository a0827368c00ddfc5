"""Benchmarks that anyone can run: ``python -m lib bench data|models|inference|gpu``; each prints a table.

`data` measures conversion and loading, `models` training steps beside `textbook` versions and libraries, `inference`
the ASE calculator, `gpu` what CUDA graphs bring; `measuring` is how.
"""
