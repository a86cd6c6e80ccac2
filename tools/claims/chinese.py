"""What a Chinese text claims: counts, presence and absence of structures, and the regions that it cites.

Read clause by clause, for a denial reaches no further than its clause and what is listed in it, known or not. What is
said of a structure that is there anyway (心脏无明显增大, the heart is not enlarged; 未见红细胞聚集, red cells do not
clump) and what is left open (不能除外, not excluded) is no claim about its presence; 约, 数 and a range are no count.
Nor is a number or a denial that one place has (左肺1处): the whole may have more.
"""

from __future__ import annotations

import re
from functools import cache

from fiducial.tools.claims.claim import Claim
from fiducial.tools.words import keys_of_names

_DIGITS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_ONES = "[一二三四五六七八九]"
_FREE = (  # what a number is no part of: a longer number, a range, an ordinal, an estimate, some of several
    r"(?<![\d.．,，A-Za-z一二两三四五六七八九十百千万零第另每同唯约近数几~～〜–-])"
    r"(?<!其中)(?<![\d一二三四五六七八九十][至到])(?<!第 )"
)
_NUMBER = rf"{_FREE}(\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,4}}(?!\d|[.．]\d)|{_ONES}?十{_ONES}?|[零两]|{_ONES})"
_MEASURE = r"(?:[個枚处處颗顆例粒名条條只块塊]|个(?!月))"
_UNIT = r"(?:[mcµμ]m|[微毫厘]米)"
_SIZE = rf"(?:[\d.]+\s*{_UNIT}?\s*[×xX*]\s*)*[\d.]+\s*{_UNIT}"
_PLAIN = r"[^\W\da-zA-Zµ米和与及或]{0,6}"
_MODIFIER = rf"(?:{_PLAIN}(?:{_SIZE}{_PLAIN})?的|明显|明确|任何|其他|异常|可疑|单发|多发|大|小)?"
_LOOKED = r"(?:见到?|发现|检出|检测到|观察到|看到|探及|显示|标出|勾画)"
_DENIAL = rf"(?:(?:没有|未|不){_LOOKED}|没有|不存在|并?无|(?<!不能)(?<!未能)(?<!无法)(?<!不)(?:排除|除外))(?:有|存在)?"
_OPEN = re.compile(r"(?:不能?|未能|无法)(?:完全)?(?:排除|除外)|否认")
_JOINED = r"(?:、|及|或者?|和|与|以及|亦)"
_OTHER = r"[^\W\d见有示现、及或和与亦]{1,10}"  # something that no table has, in a list
_CLAUSE = re.compile(r"[，；;。！？!?\n]|,(?!\d{3}(?!\d))|但是?|然而|不过")
_PROPERTY = re.compile(
    r"\s*(?:影)?(?:大小|体积|形态|位置|轮廓|边缘|密度|无|未见?|不|明显|稍|略|轻度)*"
    rf"(?:增大|扩大|肿大|移位|异常|变形|受压|正常|[大小](?=\s*(?:$|{_JOINED}|[（(])))"
)
_GONE = r"\s*(?:均|都)?(?:不存在|未见|未发现|未检出|缺如|无|已?消失|已切除|阴性|[（(][-－—][）)])\s*$"
_TOTAL = re.compile(
    rf"\s*(?:(?:总数|数量|计数|数目)\s*[为是:：]?\s*{_NUMBER}(?:\s*{_MEASURE}|(?!\s*[×xX*%a-zA-Zµμ微毫厘]))"
    rf"|(?:共有?|有|[:：])?\s*{_NUMBER}\s*{_MEASURE})"
)
_BEFORE = re.compile(rf"{_NUMBER}\s*{_MEASURE}\s*{_MODIFIER}\s*$")
_DENIED = re.compile(rf"{_DENIAL}\s*(?:{_OTHER}{_JOINED})*\s*{_MODIFIER}\s*$")
_ATTRIBUTE = re.compile(  # of what is there: 可见一枚无蒂息肉
    rf"(?:(?<![未不])见|有|示|发现|{_MEASURE})[^、]*无(?!明显|明确|任何|其他|异常|可疑)[^、及和与]{{1,8}}$"
)
_UNCLEAR = re.compile(rf"{_DENIAL}(?:(?!可见|见有|有|\d|{_MEASURE}).)*$")  # 未见新增…: nothing is said of the others
_LISTED = re.compile(rf"\s*(?:{_OTHER})?(?:{_JOINED}{_OTHER})*{_JOINED}\s*{_MODIFIER}\s*")
_WHOLE = re.compile(rf"\s*(?:$|{_JOINED}|[（(]|存在|征象|表现|显示|等|影|也|而|且)")  # nothing else of it is denied
_PLACE = re.compile(
    r"[左右上中下前后]\w?(?:肺|叶|侧|半球|半|方|部|段|野|区|边|角|象限)"
)  # a part of the whole, not 双肺
_ID = re.compile(r"(?<![A-Za-z0-9])R(\d+)(?:\s*[至到~～–-]\s*R(\d+))?")
_LONGEST_RANGE = 500
# Of nothing that is named.
_BARE = re.compile(rf"(?:共|检出|发现|数到|找到|标出)\s*{_NUMBER}\s*{_MEASURE}?\s*(?=$|[:：])")
_REGIONS = {"区域": "region"}


@cache
def _names() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, str]]:
    """The pattern of every name of a structure, that of what says that it and those listed behind it are not there.

    And the structure of each name.
    """
    named = keys_of_names("zh") | _REGIONS
    names = "|".join(re.escape(name) for name in named)
    gone = re.compile(rf"(?:\s*{_JOINED}\s*(?:{names}))*{_GONE}", re.IGNORECASE)
    return re.compile(names, re.IGNORECASE), gone, named


def _number(text: str) -> int:
    """A whole number in digits, or in words up to ninety-nine."""
    if text[0].isdigit():
        return int(text.replace(",", ""))
    tens, ten, ones = text.rpartition("十")
    return _DIGITS.get(ones, 0) + (10 * _DIGITS.get(tens, 1) if ten else 0)


def _ids(match: re.Match[str]) -> list[str]:
    """The ids of one id, or of a range of them."""
    first, last = int(match[1]), int(match[2] or match[1])
    return [f"R{n}" for n in (range(first, last + 1) if 0 <= last - first <= _LONGEST_RANGE else (first, last))]


def read_chinese(text: str) -> list[Claim]:
    """Every claim of a Chinese text, in order."""
    return [claim for clause in _CLAUSE.split(text) for claim in _of_clause(clause)]


def _of_clause(clause: str) -> list[Claim]:
    pattern, gone, named = _names()
    out = [Claim("region", name) for match in _ID.finditer(clause) for name in _ids(match)]
    if bare := _BARE.search(clause):
        out.append(Claim("number", None, _number(bare[1])))
    end, denied = 0, False
    for match in pattern.finditer(clause):
        key, before, after = named[match[0].lower()], clause[end : match.start()], clause[match.end() :]
        end = match.end()
        attribute = bool(_ATTRIBUTE.search(before))
        denied = not attribute and bool(_DENIED.search(before) or (denied and _LISTED.fullmatch(before)))
        unclear = _OPEN.search(before) or (not denied and not attribute and _UNCLEAR.search(before))
        if unclear or _PROPERTY.match(after) or (denied and not _WHOLE.match(after)):
            continue
        absent, placed = denied or bool(gone.match(after)), bool(_PLACE.search(clause[: match.start()]))
        total = None if absent else _TOTAL.match(after)
        number = None if absent else _BEFORE.search(before)
        if number is None and total is not None:
            number, end = total, match.end() + total.end()
        count = _number(number[number.lastindex or 0]) if number else None
        if absent or count == 0:
            out += [] if placed else [Claim("absence", key)]
        else:
            out += [Claim("count", key, count)] if count and not placed else []
            out += [Claim("presence", key)] if key not in _REGIONS.values() else []
    return out
