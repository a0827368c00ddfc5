"""Not a test: what test_processes.py starts in several processes. Arguments: a pickled list of runs, a folder."""

import json
import os
import pickle
import sys
from pathlib import Path

import torch

from lib.runs import runner
from lib.training.fit import Execution

if __name__ == "__main__":
    torch.set_num_threads(1)
    runner.RUNS = Path(sys.argv[2])
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    found = [
        runner.run(config, Execution(progress=False, accelerator="cpu", devices=devices)).history()
        for config in pickle.loads(Path(sys.argv[1]).read_bytes())
    ]
    if os.environ.get("RANK", "0") == "0":
        (runner.RUNS / "histories.json").write_text(json.dumps(found))
