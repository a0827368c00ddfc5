"""Trained potentials: an ensemble, an ASE calculator, dynamics, and whether its spread is calibrated."""
