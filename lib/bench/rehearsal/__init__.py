"""The paper's size, rehearsed: generated files in the official layouts go through everything that a real run does.

`files` generates them, `inside` has the stages that are no command of their own, `watch` runs each stage in a process
of its own and follows its memory, `stages` lists them, in order, and keeps a record of each, so that a rehearsal that
was interrupted goes on. Numbers in the files are arbitrary; sizes, layouts, types and the density of atoms are not.
"""
