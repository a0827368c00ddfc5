"""Gaussian noise on coordinates, X̂ = X + E with E ~ N(0, σ²) on each coordinate (section 2.3, before equation 7)."""

import numpy as np
from numpy.typing import NDArray


def gaussian_noise(n_atoms: int, sigma: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise (n_atoms, 3) in Å with standard deviation ``sigma`` Å, drawn from ``generator``.

    Raises:
        ValueError: ``sigma`` is not a finite positive number.
    """
    _check(sigma)
    return (sigma * generator.standard_normal((n_atoms, 3))).astype(np.float32)


def conformation_noise(
    n_atoms: NDArray[np.integer], sigma: float, key: tuple[int, int], owners: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Noise of several conformations, each from ``key`` and its owner alone, whatever else is in the batch.

    The generator is Philox, whose counter can be set: Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405.

    Args:
        n_atoms: (B,) of each conformation.
        sigma: Å.
        key: two numbers, not negative.
        owners: (B, 2) what tells conformations apart, such as data set and conformation number.

    Returns:
        (sum of ``n_atoms``, 3) Å.

    Raises:
        ValueError: ``sigma`` is not a finite positive number.
    """
    _check(sigma)
    bits = np.random.Philox(key=np.array(key, dtype=np.uint64))
    generator, state = np.random.Generator(bits), bits.state
    noise = np.empty((int(np.sum(n_atoms)), 3), dtype=np.float32)
    counters = np.zeros((len(owners), 4), dtype=np.uint64)
    counters[:, 2:] = owners
    ends = np.cumsum(n_atoms)
    for counter, start, end in zip(counters, ends - n_atoms, ends, strict=True):
        state["state"]["counter"] = counter
        bits.state = state
        generator.standard_normal(dtype=np.float32, out=noise[start:end])
    noise *= np.float32(sigma)
    return noise


def _check(sigma: float) -> None:
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma = {sigma!r} Å: the noise needs a finite, positive standard deviation")


def rigid_part(
    positions: NDArray[np.floating], noise: NDArray[np.floating], molecule: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The part of ``noise`` that moves each molecule as a rigid body, which no model that sees only X̂ can know.

    The least-squares translation and rotation of each molecule: with r_a the positions about the molecule's centre,
    t = mean(noise), ω = I⁻¹ Σ r_a × noise_a (pseudo-inverse for linear molecules), part = t + ω × r_a.

    Args:
        positions: (A, 3) Å.
        noise: (A, 3) Å.
        molecule: (A,) ascending molecule numbers.

    Returns:
        (A, 3) Å; ``noise`` minus it is orthogonal to it.
    """
    moved = np.asarray(noise, dtype=np.float64)
    size = np.bincount(molecule)[:, None]

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over the atoms of each molecule."""
        out = np.zeros((len(size), *values.shape[1:]))
        np.add.at(out, molecule, values)
        return out

    translation = (total(moved) / size)[molecule]
    r = positions - (total(np.asarray(positions, dtype=np.float64)) / size)[molecule]
    inertia = total((r * r).sum(1)[:, None, None] * np.eye(3) - r[:, :, None] * r[:, None, :])
    spin = np.einsum("bij,bj->bi", np.linalg.pinv(inertia, hermitian=True, rcond=1e-9), total(np.cross(r, moved)))
    return translation + np.cross(spin[molecule], r)
