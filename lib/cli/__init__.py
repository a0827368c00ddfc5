"""The command line, one module a group of commands; `main` puts them together.

`data` (published data sets), `run` (one training), `runs` (what is stored), `batch` (what a scale and its trials lack),
`own` and `evaluate` (your own molecules), `export`, `bench` and `mini_suite`. What all share: `options` (types, and
values that are accepted), `groups` (of options), `targets` (what may be written) and `parsing`. Torch and everything
else that loads slowly is imported inside the commands.
"""
