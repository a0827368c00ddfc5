"""A molecule that a reader can turn and shake on the page itself: no kernel, no library, nothing to download.

The drawing is a canvas with its own few lines of JavaScript, so it also works in a page that nbconvert or Sphinx has
made. Where scripts are not run (GitHub shows notebooks so) nothing appears: it stands beside a static picture.
"""

import hashlib
import json
from string import Template

import numpy as np
from ase.data import covalent_radii
from IPython.display import HTML
from numpy.typing import NDArray

from lib.chemistry.bonds import bonds_of
from lib.report.figures.molecules import ELEMENT_COLOURS, OTHER

LARGEST, STEP = 1.0, 0.01  # Å, of the slider
PAGE = Template("""
<div id="$id" style="width:340px;font:13px sans-serif">
<canvas width="680" height="480" style="width:340px;height:240px;cursor:grab;touch-action:none"></canvas>
<label>σ <input type="range" min="0" max="$largest" step="$step" value="$sigma" style="width:210px">
<output></output></label>
<div>Drag to turn the molecule, move σ to shake it.</div>
</div>
<script>
(() => {
  const m = $data, root = document.getElementById("$id"), canvas = root.querySelector("canvas");
  const pen = canvas.getContext("2d"), slider = root.querySelector("input"), shown = root.querySelector("output");
  let turn = [[1, 0, 0], [0, 1, 0], [0, 0, 1]], held = null;
  const times = (a, b) => a.map(row => b[0].map((_, k) => row.reduce((sum, x, n) => sum + x * b[n][k], 0)));
  function draw() {
    const sigma = Number(slider.value), zoom = 220 / m.reach;
    shown.textContent = sigma.toFixed(2) + " Å";
    const at = m.clean.map((p, a) => p.map((x, k) => x + sigma * m.directions[a][k]))
      .map(p => turn.map(row => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]));
    const x = p => 340 + zoom * p[0], y = p => 240 - zoom * p[1];
    pen.clearRect(0, 0, 680, 480);
    const parts = m.bonds.map(([i, j]) => ({depth: (at[i][2] + at[j][2]) / 2 - 0.5, bond: [at[i], at[j]]}))
      .concat(at.map((p, a) => ({depth: p[2], atom: a})));
    parts.sort((a, b) => a.depth - b.depth).forEach(part => {
      pen.beginPath();
      if (part.bond) {
        pen.moveTo(x(part.bond[0]), y(part.bond[0])); pen.lineTo(x(part.bond[1]), y(part.bond[1]));
        pen.lineWidth = 6; pen.strokeStyle = "#888888"; pen.stroke();
      } else {
        pen.arc(x(at[part.atom]), y(at[part.atom]), 0.45 * zoom * m.radii[part.atom], 0, 7);
        pen.fillStyle = m.colours[part.atom]; pen.fill(); pen.lineWidth = 2; pen.strokeStyle = "black"; pen.stroke();
      }
    });
  }
  canvas.onpointerdown = e => { held = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = () => { held = null; };
  canvas.onpointermove = e => {
    if (!held) return;
    const a = (e.clientX - held[0]) / 80, b = (e.clientY - held[1]) / 80;
    held = [e.clientX, e.clientY];
    const about_y = [[Math.cos(a), 0, Math.sin(a)], [0, 1, 0], [-Math.sin(a), 0, Math.cos(a)]];
    const about_x = [[1, 0, 0], [0, Math.cos(b), -Math.sin(b)], [0, Math.sin(b), Math.cos(b)]];
    turn = times(times(about_x, about_y), turn);
    draw();
  };
  slider.oninput = draw;
  draw();
})();
</script>
""")


def shaken(
    numbers: NDArray[np.integer], clean: NDArray[np.floating], directions: NDArray[np.floating], sigma: float
) -> HTML:
    """A conformation in three dimensions with a slider for the noise, which starts at ``sigma`` (Å).

    Args:
        numbers: (A,) atomic numbers.
        clean: (A, 3) Å.
        directions: (A, 3) noise of unit variance.
        sigma: Å.

    Raises:
        ValueError: ``sigma`` is not between 0 and `LARGEST`.
    """
    if not 0 <= sigma <= LARGEST:
        raise ValueError(f"sigma = {sigma!r} Å: the slider goes from 0 to {LARGEST:g}")
    centred = clean - clean.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]  # the longest across, the shortest towards the reader
    axes[2] = np.cross(axes[0], axes[1])  # so that it is not a mirror image
    data = {
        "clean": (centred @ axes.T).round(3).tolist(),
        "directions": (directions @ axes.T).round(3).tolist(),
        "bonds": bonds_of(numbers, clean).tolist(),
        "radii": covalent_radii[numbers].tolist(),
        "colours": [ELEMENT_COLOURS.get(int(z), OTHER) for z in numbers],
        "reach": float(np.linalg.norm(centred, axis=1).max() + 1.0),
    }
    text = json.dumps(data)
    name = "molecule-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return HTML(PAGE.substitute(id=name, data=text, sigma=f"{sigma:g}", largest=f"{LARGEST:g}", step=f"{STEP:g}"))
