"""What a question costs: a cold process, each further image in one process, and where the time goes.

Wall and CPU seconds. The CPU time of a process includes that of its decoding workers, once they have ended.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import time
from collections import defaultdict
from statistics import median
from typing import Any

from fiducial.benchmarks.common import (
    COMMAND,
    open_asker,
    parser,
    picture,
    read_hc18_rows,
    samples,
    status,
    table,
    write,
)

COLD_RUNS = 3
QUESTIONS = {"bccd": "How many white blood cells are there?", "hc18": "What is the head circumference?"}


def process_seconds(arguments: list[str], runs: int) -> dict[str, float]:
    """Median wall and CPU seconds of ``fiducial …`` as a process of its own."""
    walls, cpus = [], []
    for _ in range(runs):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*COMMAND, *arguments], capture_output=True, check=False)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_s": median(walls), "cpu_s": median(cpus), "runs": runs}


def warm(args: argparse.Namespace, images: int) -> dict[str, Any]:
    """Open the product once, then ask: seconds to open, of the first image, of each further one, and by step."""
    scales = read_hc18_rows(args.data)
    start = time.perf_counter()
    asker = open_asker(args)
    figures: dict[str, Any] = {"open_s": time.perf_counter() - start}
    for name, question in QUESTIONS.items():
        walls, cpus, steps = [], [], defaultdict(list)
        for sample in samples(args.data, name, "val", images):
            scale = f"{scales[sample.id][0]} mm/px" if name == "hc18" else None
            wall, cpu = time.perf_counter(), time.process_time()
            record = asker.ask(picture(args.data, name, sample.id), question, scale=scale)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            for step in record.steps if status(record) != "abstained" else ():
                steps[step.kind, step.name].append(step.ms)
        figures[name] = {
            "first_s": walls[0],
            "further_median_s": median(walls[1:] or walls),
            "further_cpu_median_s": median(cpus[1:] or cpus),
            "steps": [
                {"kind": k, "name": n, "calls_per_image": len(ms) / len(walls), "ms_per_image": sum(ms) / len(walls)}
                for (k, n), ms in sorted(steps.items(), key=lambda item: -sum(item[1]))
            ],
        }
    return figures


def main() -> None:
    """Measure, print, write."""
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=12, help="how many images of each set to ask warm")
    args = made.parse_args()
    image = picture(args.data, "bccd", samples(args.data, "bccd", "val", 1)[0].id)
    processes = {
        "fiducial --help": process_seconds(["--help"], 5),
        "fiducial ask, cold": process_seconds(["ask", str(image), QUESTIONS["bccd"], "--json"], COLD_RUNS),
    }
    print(table(("process", "wall s", "CPU s"), ([n, p["wall_s"], p["cpu_s"]] for n, p in processes.items())))
    figures = warm(args, args.limit or args.images)
    print(f"\none process: {figures['open_s']:.2f} s to open the model")
    columns = ("first_s", "further_median_s", "further_cpu_median_s")
    print(table(("set", *columns), ([n, *(figures[n][c] for c in columns)] for n in QUESTIONS)))
    for name in QUESTIONS:
        print(f"\n{name}: where the time goes")
        keys = ("kind", "name", "calls_per_image", "ms_per_image")
        print(table(keys, ([s[k] for k in keys] for s in figures[name]["steps"])))
    machine = {"cpus": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS")}
    write(args.out, {"machine": machine, "processes": processes, **figures})


if __name__ == "__main__":
    main()
