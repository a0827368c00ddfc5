"""The command line, one module a group of commands; `main` puts them together.

``data`` (published data sets), ``runs`` (what is stored), ``run`` (one training), ``own`` (your own molecules),
``export``, ``bench`` and ``mini_suite``. What all share: `options` (types, and values that are accepted), `targets`
(what may be written) and `parsing`. Torch and everything else that loads slowly is imported inside the commands.
"""
