"""Training: the two tasks with their losses (equation 7; energies and forces), one loop for both, and its settings."""
