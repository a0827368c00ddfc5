"""What the paper's matrix is made of. Run with a name, it registers a model of that name first and prints JSON."""

import json
import sys
from dataclasses import replace

from lib.models import MODELS

if __name__ == "__main__":  # before anything else of the project is imported, as if its line stood in the registry
    MODELS[sys.argv[1]] = replace(MODELS["egnn"], label="a dummy")

from lib.campaign import items_of
from lib.report import claims
from lib.study.scales import SCALES


def paper_matrix() -> dict:
    """Models by scale, keys of runs by scale and item, and the cells that the paper's claims are about."""
    return {
        "models": {name: [list(scale.models), list(scale.exceptions.control_models)] for name, scale in SCALES.items()},
        "keys": {n: {item: [c.key() for c in runs] for item, runs in items_of(n).items()} for n in ("smoke", "laptop")},
        "claims": json.loads(json.dumps(claims._whole_matrix())),
    }


if __name__ == "__main__":
    json.dump(paper_matrix(), sys.stdout)
