"""Denoising pre-training on nonequilibrium molecules for neural potentials: a companion to the paper.

Wang, Xu, Li, Barati Farimani 2023, https://doi.org/10.1021/acs.jctc.3c00289. The data path, one module a step::

    official file ── readers ──> Molecule ── store ──> ConformationStore ── splits ──> Split
                                                            │
          noising (pre-training only) ── loading ───────────┴──> Batch (batches) ──> models ──> Prediction
                                                                                        │
          tables, figures <── statistics <── runs: RunConfig -> Result <── training <── tasks
                                                          │
              simulation, uncertainty <── calculator <── potentials (weights)

What is run, and what becomes of it::

    scales (data, widths, seeds) ── matrix (cells) ── comparison (arms) ──> tables ──> claims (verdicts)
                      │                                    │                   └─────> comparison_figures
                  campaign (all runs; the batch)      results (stored or recorded)
    one's own molecules:  inspection ── own_data ── own_commands

Inside, lengths are Å and energies kcal/mol (`units`); atoms are one of the types of `elements`; the energies of free
atoms belong to a level of theory (`levels`). Importing the package does nothing.
"""
