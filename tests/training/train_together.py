"""Not a test: what test_processes.py starts in several processes.

Arguments: a pickled list of (a name, a run, how many micro-batches), and a folder, where the results go by name.
"""

import json
import os
import pickle
import sys
from pathlib import Path

import torch

from lib.runs import runner
from lib.training.execution import Execution

if __name__ == "__main__":
    torch.set_num_threads(1)
    devices, histories = int(os.environ["WORLD_SIZE"]), []
    for name, config, accumulate in pickle.loads(Path(sys.argv[1]).read_bytes()):
        runner.RUNS = Path(sys.argv[2]) / name
        execution = Execution(progress=False, accelerator="cpu", devices=devices, accumulate=accumulate)
        histories.append(runner.run(config, execution).history())
    if os.environ["RANK"] == "0":
        (Path(sys.argv[2]) / "histories.json").write_text(json.dumps(histories))
