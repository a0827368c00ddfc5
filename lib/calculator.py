"""The ASE calculator under its short name; it lives in `lib.potentials.calculator`."""

from lib.potentials.calculator import PotentialCalculator

__all__ = ["PotentialCalculator"]
