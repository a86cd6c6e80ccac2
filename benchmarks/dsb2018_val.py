"""Nuclei on dsb2018 val: how many and where, through the whole chain (see ``objects_val``), in all and by microscope.

A base that knows no nuclei abstains on every image, and the figures say so.
"""

from __future__ import annotations

from fiducial.benchmarks.common import parser, write
from fiducial.benchmarks.objects_val import COUNTED, ObjectSet, measure, show

DSB2018 = ObjectSet(
    "dsb2018",
    ("nucleus",),
    {
        COUNTED: ("How many {plural} are there?", "Count the {plural}."),
        "location": ("Where are the {plural}?", "Show me where the {plural} are."),
    },
)


def main() -> None:
    """Ask, score, print, write."""
    args = parser(__doc__).parse_args()
    found = measure(args, DSB2018)
    show(found)
    write(args.out, found)


if __name__ == "__main__":
    main()
