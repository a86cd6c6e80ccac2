"""Arguments that are typed as JSON."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fiducial.tools.errors import InputError


def json_object(text: str) -> dict[str, Any]:
    """One JSON object typed on the command line. Raises InputError for anything else, NaN included."""

    def refuse(constant: str) -> NoReturn:
        raise InputError(f"the arguments hold {constant}, which is no JSON; give a finite number")

    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the arguments are not JSON ({error}); give one object such as '{{\"name\": 1}}'") from None
    if not isinstance(value, dict):
        raise InputError("the arguments are not a JSON object; give one such as '{\"name\": 1}'")
    return value
