"""Benchmarks that anyone can run: ``python -m lib bench data|models|inference|gpu|rehearsal``; each prints a table.

`data` measures conversion and loading, `models` training steps beside `textbook` versions and libraries, `inference`
the ASE calculator, `gpu` what CUDA graphs bring, `rehearsal` files of the paper's size from reading to training;
`cost` is what notebook 08 times, `measuring` how.
"""
