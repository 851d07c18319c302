"""Words for comparing in which a date, a number and a unit have one form, English and Chinese."""

import re
import unicodedata

from knowledge_update.evaluation.scoring import tokens

_MONTHS = "January February March April May June July August September October November December".split()
_SHORT = {name[:3] for name in _MONTHS} - {"May"} | {"Sept"}
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|(?:{'|'.join(sorted(_SHORT, reverse=True))})\.?)(?![a-z])"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    re.compile(r"(?<![\d.])(?P<year>\d{4})[-/](?P<number>\d{1,2})[-/](?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<year>\d{3,4})年(?:(?P<number>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?)?"),
    re.compile(r"(?<!\d)(?P<number>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?"),
    re.compile(rf"(?<!\d)(?:the )?{_DAY}(?: of)? {_MONTH},?(?: (?P<year>\d{{4}})(?!\d))?"),
    re.compile(rf"{_MONTH} (?:the )?{_DAY}(?!\d)(?:,? (?P<year>\d{{4}})(?!\d))?"),
    re.compile(rf"{_MONTH},?(?: of)? (?P<year>\d{{4}})(?!\d)"),
    re.compile(_MONTH),
)
_TENS = {word: 10 * at for at, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_ONES = {
    word: at for at, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
}  # fmt: skip
_POWERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = "|".join((*_TENS, *_ONES))
_SPELLED = re.compile(rf"\b(?:{_WORD})(?:(?:[ -]|,? and )(?:{_WORD}|{'|'.join(_POWERS)}))*\b", re.I)
_SCALED = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) ?(thousand|million|billion|万亿|亿|万|千)(?![a-z米克瓦])", re.I)
_CHINESE_DIGITS = {
    char: at for chars in ("〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖") for at, char in enumerate(chars)
}
_CHINESE_DIGITS |= {"两": 2}
_CHINESE_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8, "万亿": 10**12}
_NUMERALS = "〇零一二三四五六七八九两十百千万亿"
# A single numeral is a number where something is counted with it; 一 begins too many words to be one elsewhere.
_CHINESE = re.compile(
    rf"[{_NUMERALS}]{{2,}}|[零一二三四五六七八九两十](?=[年月日号个名位座条人岁次米艘种只间家所吨层级天])"
)
_UNITS = {
    "sqkm": r"square kilomet(?:re|er)s?|sq\.? ?km|km ?2|平方公里|平方千米", "sqm": r"square met(?:re|er)s?|m ?2|平方米",
    "km": r"kilomet(?:re|er)s?|km|公里|千米", "cm": r"centimet(?:re|er)s?|cm|厘米",
    "mm": r"millimet(?:re|er)s?|mm|毫米", "metre": r"met(?:re|er)s?|m|米", "kg": r"kilogram(?:me)?s?|kgs?|公斤|千克",
    "gram": r"gram(?:me)?s?|g|克", "tonne": r"tonnes?|tons?|t|吨", "hectare": r"hectares?|ha|公顷",
    "litre": r"lit(?:re|er)s?|l|升", "percent": r"per ?cent|%", "hour": r"hours?|小时", "minute": r"minutes?|分钟",
    "year": r"years?", "day": r"days?|天", "people": r"people|persons?|inhabitants|人",
}  # fmt: skip
_UNIT = re.compile(
    r"(?<=\d) ?-?(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _UNITS.items()) + r")(?![a-z\d])", re.I
)
UNITS = frozenset(_UNITS)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def normalised(text: str) -> str:
    """The text with dates, numbers and units in one form each.

    A date is its year, month and day in this order, month and day as words of letters: a day is no number of anything,
    and a date holds the month it lies in.
    """
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _CHINESE.sub(lambda found: _of_chinese(found[0]), text)
    text = re.sub(r"百分之(\d+(?:\.\d+)?)", r"\1%", text)
    text = _SPELLED.sub(lambda found: _of_words(found[0]), text)
    text = _SCALED.sub(lambda found: _scaled(found[1], found[2]), text)
    for form in _DATES:
        text = form.sub(_date, text)
    return _UNIT.sub(lambda found: f" {found.lastgroup} ", text)


def words(text: str) -> list[str]:
    """The words of a text for comparing, as `scoring.tokens` has them, with values in one form."""
    return tokens(normalised(text))


def is_number(word: str) -> bool:
    """Whether a word is a number."""
    return word[:1].isdigit()


def is_date(word: str) -> bool:
    """Whether a word is a month or a day, as `normalised` writes them."""
    return word.startswith(("xmonth", "xday"))


def _date(found: re.Match[str]) -> str:
    parts = found.groupdict()
    number = int(parts.get("number") or 0)
    if parts.get("month"):
        number = next(at for at, name in enumerate(_MONTHS, 1) if name[:3] == parts["month"][:3])
    day = int(parts.get("day") or 0)
    if number > 12 or day > 31:
        return found[0]
    month = f"xmonth{_LETTERS[number]}" if number else ""
    return f" {parts.get('year') or ''} {month} {f'xday{_LETTERS[day // 10]}{_LETTERS[day % 10]}' if day else ''} "


def _of_words(text: str) -> str:
    """`two hundred and forty` as digits; what is no number (`five six`) stays as it is."""
    total, part, last = 0, 0, 0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word == "and":
            continue
        if word in _POWERS:
            power = _POWERS[word]
            part, total = (part * power, total) if power == 100 else (0, total + (part or 1) * power)
            last = 0
        else:
            value = _TENS.get(word, 0) or _ONES[word]
            if last and not (last >= 20 and value < 10):
                return text
            part, last = part + value, value
    return str(total + part)


def _scaled(number: str, power: str) -> str:
    factor = _POWERS.get(power.lower()) or _CHINESE_POWERS[power]
    value = float(number) * factor
    return str(int(value)) if value.is_integer() else str(value)


def _of_chinese(text: str) -> str:
    """一百二十 or 一八七四 as digits; what holds no digit but powers (千万, 万) stays as it is."""
    if not any(char in _CHINESE_POWERS for char in text):
        return "".join(str(_CHINESE_DIGITS[char]) for char in text)
    if text[0] in "百千万亿":
        return text
    total, section, digit = 0, 0, 0
    for char in text:
        if char in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[char]
        elif char in "万亿":
            total = (total + section + digit) * _CHINESE_POWERS[char]
            section = digit = 0
        else:
            section += (digit or 1) * _CHINESE_POWERS[char]
            digit = 0
    return str(total + section + digit)
