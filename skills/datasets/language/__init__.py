"""Plain-English questions with the intent they mean, and explanations with the record they tell of.

A sample of questions: ``("Could you tell me how many platelets there are on this slide?", count platelet)``.
A sample of explanations: ``"count white_cell : white_cell 2 R1 upper left , R2 centre"`` →
``"Two white blood cells were found: R1 in the upper left and R2 near the centre."``
"""

from fiducial.skills.datasets.language.explanations import explanation_words, write_explanation
from fiducial.skills.datasets.language.grammar import closed_words, next_words, parse_intent, render_intent
from fiducial.skills.datasets.language.prompt import prompt_text
from fiducial.skills.datasets.language.questions import in_scope_words, sample_question
from fiducial.skills.datasets.language.reports import report_text
from fiducial.skills.datasets.language.told import explain_prompt

__all__ = [
    "closed_words",
    "explain_prompt",
    "explanation_words",
    "in_scope_words",
    "next_words",
    "parse_intent",
    "prompt_text",
    "render_intent",
    "report_text",
    "sample_question",
    "write_explanation",
]
