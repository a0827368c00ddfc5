"""Chemistry that data, models and checks share: atom types, charges, reference energies, bonds, normal modes, xTB."""
