"""What a Chinese text claims: counts, presence and absence of structures, and the regions that it cites.

Read clause by clause, for a denial reaches no further than its clause and the names that are listed in it. What is said
of a structure that is there anyway (心脏无明显增大, the heart is not enlarged) is no claim about its presence.
"""

from __future__ import annotations

import re
from functools import cache

from fiducial.tools.claims.claim import Claim
from fiducial.tools.words import keys_of_names

_DIGITS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_ONES = "[一二三四五六七八九]"
_NUMBER = rf"(?<![\d.．])(?P<number>\d{{1,4}}(?!\d|[.．]\d)|{_ONES}?十{_ONES}?|[零两]|{_ONES})"
_MEASURE = r"[个個枚处處颗顆例粒名条條只块塊]"
_MODIFIER = r"(?:[^\W\da-zA-Zµ米和与及或]{0,6}的|明显|明确|任何|其他|异常|可疑|单发|多发|大|小)?"
_DENIAL = r"(?:没有|未见到?|未发现|未检出|未检测到|未观察到|未显示|不存在|不见|无|并无)"
_JOINED = r"(?:、|及|或者?|和|与|以及|亦)"
_CLAUSE = re.compile(r"[，,；;。！？!?\n]|但是?|然而|不过")
_PROPERTY = re.compile(
    r"\s*(?:影)?(?:大小|形态|位置|轮廓|边缘|密度|无|未|不|明显)*(?:增大|扩大|肿大|移位|异常|变形|受压|正常)"
)
_GONE = re.compile(r"\s*(?:不存在|未见|缺如|均无)\s*$")
_TOTAL = re.compile(rf"\s*(?:共有?|总数[为是]?|数量[为是]?|计数[为是]?|有|[:：])\s*{_NUMBER}\s*{_MEASURE}?")
_BEFORE = re.compile(rf"{_NUMBER}\s*{_MEASURE}?\s*{_MODIFIER}\s*$")
_DENIED = re.compile(rf"{_DENIAL}\s*{_MODIFIER}\s*$")
_LISTED = re.compile(rf"\s*{_JOINED}\s*{_MODIFIER}\s*$")
_ID = re.compile(r"(?<![A-Za-z0-9])R\d+")


@cache
def _names() -> tuple[re.Pattern[str], dict[str, str]]:
    """The pattern of every name of a structure, and the structure of each."""
    named = keys_of_names("zh")
    return re.compile("|".join(re.escape(name) for name in named), re.IGNORECASE), named


def _number(text: str) -> int:
    """A whole number in digits, or in words up to ninety-nine."""
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    return _DIGITS.get(ones, 0) + (10 * _DIGITS.get(tens, 1) if ten else 0)


def read_chinese(text: str) -> list[Claim]:
    """Every claim of a Chinese text, in order."""
    return [claim for clause in _CLAUSE.split(text) for claim in _of_clause(clause)]


def _of_clause(clause: str) -> list[Claim]:
    pattern, named = _names()
    out: list[Claim] = [Claim("region", match[0]) for match in _ID.finditer(clause)]
    end, denied = 0, False
    for match in pattern.finditer(clause):
        key, before, after = named[match[0].lower()], clause[end : match.start()], clause[match.end() :]
        end = match.end()
        if _PROPERTY.match(after):
            denied = False
            continue
        denied = bool(_DENIED.search(before) or _GONE.match(after) or (denied and _LISTED.fullmatch(before)))
        number = None if denied else _BEFORE.search(before) or _TOTAL.match(after)
        if number is not None and (count := _number(number["number"])) == 0:
            denied, number = True, None
        if number is not None:
            out.append(Claim("count", key, count))
        out.append(Claim("absence" if denied else "presence", key))
    return out
