"""When something was taken, as people say it: "last summer", "since May 2023", 2023年夏天, 去年.

Seasons are those of the north, three whole months each; a winter is named by the year in which it
begins. A month or season without a year says nothing of when, and stays in the text.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from pictor.library.catalog.filters import After, Before, Filter, Taken

_MONTHS = "january february march april may june july august september october november december"
_MONTH_NUMBERS = {
    **{name: number for number, name in enumerate(_MONTHS.split(), 1)},
    **{name[:3]: number for number, name in enumerate(_MONTHS.split(), 1)},
    "sept": 9,
}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_SEASONS |= {"春": 3, "夏": 6, "秋": 9, "冬": 12}
_TEN = "one two three four five six seven eight nine ten"
_COUNTS = {name: number for number, name in enumerate(_TEN.split(), 1)}
_COUNTS |= {name: number for number, name in enumerate("一二三四五六七八九十", 1)}
_COUNTS |= {"a": 1, "an": 1, "两": 2}
#: (a unit, how many of it before the one that is now).
_NAMED = {
    "today": ("day", 0),
    "yesterday": ("day", 1),
    "今天": ("day", 0),
    "昨天": ("day", 1),
    "前天": ("day", 2),
}
_UNITS = {"年": "year", "月": "month", "周末": "weekend", "周": "week", "星期": "week", "天": "day"}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_MOST = 1000  # of units that are counted back


class Span(NamedTuple):
    """Days, from the first to the last."""

    first: date
    last: date


class _Rule(NamedTuple):
    """What says some days, and how it is read; None where there are no such days."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], date], Span | None]


def without_dates(text: str, today: date) -> tuple[str, list[Filter]]:
    """A text without what says when, and the filters that it says.

    Args:
        today: what "yesterday" and "last summer" are counted from.
    """
    found: list[Filter] = []
    for rule in _RULES:

        def read(match: re.Match[str], rule: _Rule = rule) -> str:
            try:
                span = rule.read(match, today)
            except (OverflowError, ValueError):  # the calendar has no such day
                span = None
            if span is None or span.first > span.last:
                return match[0]
            found.append(_filter(match.groupdict().get("relation"), span))
            return " "

        text = rule.pattern.sub(read, text)
    return text, found


def _filter(relation: str | None, span: Span) -> Filter:
    said = (relation or "").lower()
    if said in ("since", "以来", "起"):
        return After(span.first.isoformat())
    if said in ("after", "以后", "之后", "后"):
        return After((span.last + timedelta(days=1)).isoformat())
    if said in ("before", "以前", "之前", "前"):
        return Before(span.first.isoformat())
    if said in ("until", "till", "up to"):
        return Before((span.last + timedelta(days=1)).isoformat())
    return _taken(span)


def _taken(span: Span) -> Filter:
    """The shortest filter of the same days."""
    first, last = span
    is_whole = first.day == 1 and last.day == calendar.monthrange(last.year, last.month)[1]
    size = 4 if is_whole and (first.month, last.month) == (1, 12) else 7 if is_whole else 10
    return Taken(first.isoformat()[:size], last.isoformat()[:size])


# --- what is said, as days


def _calendar(match: re.Match[str], _: date) -> Span:
    """A year, a month or a day that is named."""
    said = match.groupdict()
    month = _MONTH_NUMBERS.get((said.get("name") or "").lower()) or int(said.get("month") or 0)
    return _days(int(said["year"]), month, int(said.get("day") or 0))


def _days(year: int, month: int = 0, day: int = 0) -> Span:
    """A whole year, a whole month where one is given, or a day.

    Raises:
        ValueError: the calendar has none such.
    """
    if day:
        return Span(date(year, month, day), date(year, month, day))
    first = date(year, month or 1, 1)
    until = month or 12
    return Span(first, date(year, until, calendar.monthrange(year, until)[1]))


def _years(match: re.Match[str], _: date) -> Span:
    return Span(date(int(match["first"]), 1, 1), date(int(match["last"]), 12, 31))


def _season(match: re.Match[str], _: date) -> Span:
    return _quarter(int(match["year"]), _SEASONS[match["season"].lower()])


def _quarter(year: int, month: int) -> Span:
    last = _days(year + 1, 2) if month == 12 else _days(year, month + 2)
    return Span(date(year, month, 1), last.last)


def _recent_season(match: re.Match[str], today: date) -> Span:
    """Of "last summer": the latest that is over; of "this winter", maybe one that goes on."""
    quarters = [_quarter(today.year - y, _SEASONS[match["season"].lower()]) for y in (0, 1, 2)]
    if match["which"].lower() == "this":
        return quarters[1] if quarters[1].last >= today else quarters[0]
    return next(one for one in quarters if one.last < today)


def _recent_month(match: re.Match[str], today: date) -> Span:
    """Of "last May": the latest one that is over; of "this May", the one of this year."""
    month = _MONTH_NUMBERS[match["name"].lower()]
    is_this = match["which"].lower() == "this" or month < today.month
    return _days(today.year if is_this else today.year - 1, month)


def _recent_year(match: re.Match[str], today: date) -> Span:
    """今年, 去年夏天, 前年5月."""
    year = today.year - "今去前".index(match["which"])
    if match["season"]:
        return _quarter(year, _SEASONS[match["season"]])
    return _days(year, int(match["month"] or 0))


def _recent(match: re.Match[str], today: date) -> Span:
    """ "this week", 上个月."""
    unit = match["unit"].lower()
    return _whole(
        _UNITS.get(unit, unit), int(match["which"].lower() in ("last", "past", "上")), today
    )


def _named(match: re.Match[str], today: date) -> Span:
    return _whole(*_NAMED[match["named"].lower()], today)


def _ago(match: re.Match[str], today: date) -> Span | None:
    """ "two years ago": the whole of that year."""
    unit, count = match["unit"].lower(), _count(match["count"])
    return _whole(_UNITS.get(unit, unit), count, today) if count else None


def _lately(match: re.Match[str], today: date) -> Span | None:
    """ "in the last three weeks": so many days, up to now."""
    unit, count = match["unit"].lower(), _count(match["count"] or "a")
    days = _DAYS[_UNITS.get(unit, unit)] * count
    return Span(today - timedelta(days=days), today) if count else None


def _count(text: str) -> int:
    """A number, 0 where it is none or too large."""
    if not text.isdecimal():
        return _COUNTS.get(text.lower(), 0)
    return int(text) if len(text) < 5 and int(text) <= _MOST else 0


def _whole(unit: str, back: int, today: date) -> Span:
    """The whole day, week, weekend, month or year so many before the one that is now."""
    monday = today - timedelta(days=today.weekday() + 7 * back)
    if unit == "day":
        return Span(today - timedelta(days=back), today - timedelta(days=back))
    if unit == "week":
        return Span(monday, monday + timedelta(days=6))
    if unit == "weekend":
        return Span(monday + timedelta(days=5), monday + timedelta(days=6))
    if unit == "month":
        months = today.year * 12 + today.month - 1 - back
        return _days(months // 12, months % 12 + 1)
    return _days(today.year - back)


# --- how it is said

_YEAR = r"(?:19|20)\d\d"
_NAME = "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True))
_ENGLISH_COUNT = r"(?P<count>\d+|[a-z]+)"
_CHINESE_COUNT = "(?P<count>[0-9]+|[一二两三四五六七八九十])"
_WHICH = "(?P<which>last|past|this)"
_SEASON = "(?P<season>spring|summer|autumn|fall|winter)"
_CHINESE_SEASON = "(?P<season>[春夏秋冬])(?:天|季)?"
_RELATION = "(?P<relation>since|after|before|until|till|up to|in|during|from|of|on|for|throughout)"


def _english(pattern: str, read: Callable[[re.Match[str], date], Span | None]) -> _Rule:
    whole = rf"(?<!\w)(?:{_RELATION} (?:the (?:year )?)?)?(?:{pattern})(?!\w)"
    return _Rule(
        re.compile(whole.replace(r"\d )", r"\d\s)").replace(" ", r"\s+"), re.IGNORECASE), read
    )


def _chinese(pattern: str, read: Callable[[re.Match[str], date], Span | None]) -> _Rule:
    after = "(?P<relation>以前|之前|以后|之后|以来|前|后|起)"
    return _Rule(re.compile(rf"(?:在|从|自)?(?:{pattern})(?:{after}|期间|的时候)?的?"), read)


_RULES = (
    _english(rf"between (?P<first>{_YEAR}) and (?P<last>{_YEAR})", _years),
    _english(rf"(?P<first>{_YEAR}) (?:to|until|till) (?P<last>{_YEAR})", _years),
    _english(rf"(?P<year>{_YEAR})-(?P<month>\d\d)(?:-(?P<day>\d\d))?", _calendar),
    _english(
        rf"(?P<day>\d\d?)(?:st|nd|rd|th)?(?: of)? (?P<name>{_NAME}),? (?P<year>{_YEAR})", _calendar
    ),
    _english(rf"(?P<name>{_NAME}) (?P<day>\d\d?)(?:st|nd|rd|th)?,? (?P<year>{_YEAR})", _calendar),
    _english(rf"(?<!\d )(?P<name>{_NAME})(?: of)?,? (?P<year>{_YEAR})", _calendar),
    _english(rf"(?:the )?{_SEASON}(?: of)?,? (?P<year>{_YEAR})", _season),
    _english(rf"{_WHICH} {_SEASON}", _recent_season),
    _english(rf"{_WHICH} (?P<name>{_NAME})", _recent_month),
    _english(rf"{_WHICH} (?P<unit>weekend|week|month|year)", _recent),
    _english(rf"(?:last|past) {_ENGLISH_COUNT} (?P<unit>day|week|month|year)s", _lately),
    _english(rf"{_ENGLISH_COUNT} (?P<unit>day|week|month|year)s? ago", _ago),
    _english("(?P<named>today|yesterday)", _named),
    # A bare number is a year only behind a word that says so: "bus 2020".
    _Rule(
        re.compile(
            rf"(?<!\w){_RELATION}\s+(?:the\s+year\s+)?(?P<year>{_YEAR})(?!\w)", re.IGNORECASE
        ),
        _calendar,
    ),
    _chinese(rf"(?P<first>{_YEAR})年?(?:到|至|[-—~～])(?P<last>{_YEAR})年", _years),
    _chinese(rf"(?P<year>{_YEAR})年的?{_CHINESE_SEASON}", _season),
    _chinese(rf"(?P<year>{_YEAR})年(?:(?P<month>\d\d?)月份?(?:(?P<day>\d\d?)[日号])?)?", _calendar),
    _chinese(
        rf"(?P<which>[今去前])年的?(?:{_CHINESE_SEASON}|(?P<month>\d\d?)月份?)?", _recent_year
    ),
    _chinese(rf"(?P<which>上)一?个?{_CHINESE_SEASON}", _recent_season),
    _chinese("(?P<which>[上这本])一?个?(?P<unit>周末|月|周|星期)", _recent),
    _chinese(f"(?:最近|过去|近)(?:的)?{_CHINESE_COUNT}个?(?P<unit>年|月|周|星期|天)", _lately),
    _chinese(f"{_CHINESE_COUNT}个?(?P<unit>年|月|周|星期|天)(?:以|之)?前", _ago),
    _chinese("(?P<named>今天|昨天|前天)", _named),
)
