r"""ChiMed-VL: Chinese questions and texts about biomedical figures (Qilin-Med-VL, arXiv 2310.17956).

A row of ``ChiMed-VL-Instruction.json``, in LLaVA's layout: ``{"id": "PMC8253873_Fig6_46", "image":
"PMC8253873_Fig6_46.jpg", "conversations": [{"from": "human", "value": "<image>\n这张图片显示了什么？"}, {"from": "gpt",
"value": "……"}]}``; ``ChiMed-VL-Alignment.jsonl`` has the same, or ``context`` and ``caption`` in place of the
conversation (its rows are unverified). The group is the article of the figure; splits are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fiducial.skills.datasets.pictures import picture
from fiducial.skills.datasets.questions import question_ask, report_ask
from fiducial.skills.datasets.rows import Row, find_file, read_rows
from fiducial.skills.datasets.sample import Ask, Sample
from fiducial.skills.datasets.splits import drawn_split

CAPTIONS = ("caption", "context", "text")


def turns(row: Row) -> list[tuple[str, str]]:
    """The questions and answers of a conversation. Raises InputError for one that does not alternate."""
    spoken = row.fields.get("conversations")
    if not isinstance(spoken, list) or not spoken or len(spoken) % 2 or not all(isinstance(t, dict) for t in spoken):
        raise row.bad("conversations", "is missing or no list of questions and answers")
    texts = [str(turn.get("value", "")).replace("<image>", "").strip() for turn in spoken]
    if [turn.get("from") for turn in spoken] != ["human", "gpt"] * (len(spoken) // 2):
        raise row.bad("conversations", "does not alternate between human and gpt")
    return list(zip(texts[::2], texts[1::2], strict=True))


def _asks(row: Row) -> tuple[Ask, ...]:
    if "conversations" in row.fields:
        return tuple(question_ask(question, answer, language="zh") for question, answer in turns(row))
    if "question" in row.fields:
        return (question_ask(row.text("question"), row.text("answer"), language="zh"),)
    field = next((name for name in CAPTIONS if row.fields.get(name)), "conversations")
    return (report_ask(row.text(field), "zh"),)


def _sample(root: Path, row: Row, number: int) -> Sample:
    image = row.text("image")
    article = Path(image).stem.split("_")[0]  # PMC8253873_Fig6_46: figures of one article may share pictures
    pixels = picture(root / "images" if (root / "images").is_dir() else root, image, row.where)
    return Sample(f"{row.text('id', str(number))}-{number}", article, "other", pixels, image=image, asks=_asks(row))


def open_chimed_vl(root: Path, split: str) -> Iterator[Sample]:
    """Stream the rows of the instruction file, or of the alignment file where only that is there."""
    path = find_file(root, "ChiMed-VL-Instruction.json*", "ChiMed-VL-Alignment.jsonl*", "*.json*")
    yield from drawn_split((_sample(root, row, n) for n, row in enumerate(read_rows(path), 1)), split)
