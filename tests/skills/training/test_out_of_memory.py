"""Out of memory is one sentence with what to change: here a process really runs out of what it may have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
import torch, peft, transformers
from fiducial.skills.recipes import Recipe
from fiducial.skills.training.run import Plan, train
from fiducial.tests.skills.training.samples import samples
from fiducial.tests.skills.training.tiny_run import RECIPE
from fiducial.tools.errors import InputError

torch.set_num_threads(1)
rows = 1024
recipe = Recipe.model_validate({"name": "tiny", **RECIPE, "batch_size": rows, "effective_batch": rows, "epochs": 1000})
plan = Plan(("count", "detect"), recipe, Path(sys.argv[1]), {"discs": samples(2)}, Path(sys.argv[2]), max_steps=2)
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 450 * 2**20,) * 2)
try:
    train(plan)
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a limit on a process's memory needs Linux")
def test_running_out_of_memory_says_what_to_change(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(checkpoint("qwen2_5_vl")), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = "out of memory at step 0 with 1024 rows at once; go on with --resume and a smaller --batch-size"
    assert said in done.stdout, done.stderr[-2000:]
    assert len(done.stdout.strip().splitlines()) == 1
