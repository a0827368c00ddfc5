"""Units: Å and kcal/mol inside, everything else converted once, on entry.

Source: CODATA 2018 (https://physics.nist.gov/cuu/Constants/) and the thermochemical calorie, 4.184 J.
"""

HARTREE = 627.5094740631  # kcal/mol
EV = 23.060547830619  # kcal/mol
KILOJOULE = 1 / 4.184  # kcal/mol, for kJ/mol
BOHR = 0.529177210903  # Å
BOLTZMANN = 0.00198720425864083  # kcal/mol/K
ACCELERATION = 4.184e-4  # (kcal/mol/Å)/(g/mol) in Å/fs²
