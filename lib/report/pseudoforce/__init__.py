"""Equation 8 put to the test: the predicted noise as a pseudo-force.

**The sign, once.** At a noised geometry X̂ = X + ε minus the noise points back to the clean one. For a Gaussian q around
X the gradient ∇ log q is -(X̂ - X)/σ² = -ε/σ², and forces are kT ∇ log p: were p like q, forces would point along
*minus* the noise. The paper prints neither minus sign and matches the noise, which points uphill, to -∇E; so a network
that learns it has its energy's maximum where the true energy has its minimum. Here all noises are taken with a minus.

**What follows from no physics.** The best prediction of ε is its mean over all clean geometries that could have been,
m(X̂) = E[ε | X̂] = -σ² ∇ log p_σ(X̂) (Tweedie's formula; Vincent 2011, https://doi.org/10.1162/NECO_a_00142). For any
function of X̂, forces among them, cov(m, f) = cov(ε, f), so m correlates with f more than ε does by sd(ε)/sd(m) =
1/√(1 - D), D the denoising error in units of σ². A network that denoises well must do so too, whatever the forces are:
the *excess* over that is a check of the network, zero for the best prediction, and how closely the prediction follows
the forces at noised geometries says how the noise lies to the forces, which can be had without a network. What transfer
feeds on is the prediction at conformations without noise, which no such identity rules: does it point along their
forces, more than a step that only restores mean bond lengths, and far from equilibrium?

Forces and energies are GFN2-xTB's. They reach thousands of kcal/mol/Å where noise throws atoms onto others, so ranks
are correlated beside values. That noise is a force only near equilibrium is disputed in later work (DeNS,
arXiv:2403.09549; NDeM, CVPR 2026).
"""

from lib.report.pseudoforce.correlating import correlations, error_by_element
from lib.report.pseudoforce.predicting import coordinates
from lib.report.pseudoforce.probing import Probe, probes
from lib.report.pseudoforce.tabulating import ITEM, equation8_table

__all__ = ["ITEM", "Probe", "coordinates", "correlations", "equation8_table", "error_by_element", "probes"]
