"""Chinese sentences cut into clauses that have a predicate of their own, each taken apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from knowledge_update.writing.chinese import lexicon

_SENTENCE = re.compile(r"[^。！？；]*[。！？；]+[”’」』）)\"]*|[^。！？；]+$")
_ENCLOSED = re.compile(r"“[^“”]*”|‘[^‘’]*’|「[^「」]*」|『[^『』]*』|《[^《》]*》|（[^（）]*）|\([^()]*\)|\"[^\"]*\"")
_PARENTHESIS = re.compile(r"\s*(?:（[^（）]*）|\([^()]*\))")
_OPEN, _CLOSE = "“「『《（(", "”」』》）)"
_QUOTED = r"“[^“”]+”|「[^「」]+」|『[^『』]+』"
_BOOK = r"《[^《》]+》"
_PERIOD = re.compile(rf"[自从在于]?(?:{lexicon.DATE.pattern})(?:起|开始)?(?:[至到](?:{lexicon.DATE.pattern}|今))?")
_OFFICE = re.compile("(?:曾|历|兼|调|升)?任(?!何|意|期|务|内[，的])")
# What follows these and a comma is what somebody says or thinks.
_TELLING = re.compile(
    "(?:(?<![小之传学解演俗话一邪众图])说|认为|以为|表示|指出|宣称|声称|相信|主张|强调|断言|推测|猜测|怀疑|估计|预测|建议)"
    "(?:道|过|了)?$"
)
_ASPECT = ("了", "过", "着")
_NUMERAL = re.compile(rf"{lexicon.NUMBER.pattern}|{lexicon.ORDINAL.pattern}")


class Token(NamedTuple):
    """A word, its part of speech, and where it begins."""

    text: str
    flag: str
    start: int

    @property
    def end(self) -> int:
        """Where the word ends."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Clause:
    """A clause with its adverbials before it.

    Args:
        quote: The clause as it stands in the sentence, parentheses and all.
        start: Where it begins in the sentence.
        head: Adverbials before the clause, their comma included; `time` when these are a point in time.
        time: The point in time at the front, or empty.
        subject: The subject; empty when the clause has none.
        predicate: The rest; empty when the clause has no predicate.
        connective: A word like 此后 that was taken off the front.
        relative: Whether the clause depends on a time named before, as with 翌年.
    """

    quote: str
    start: int
    head: str
    time: str
    subject: str
    predicate: str
    connective: str = ""
    relative: bool = False


@lru_cache(maxsize=1)
def _tagger() -> Any:
    """A tagger of its own, so that nothing else can change its dictionary."""
    import jieba
    import jieba.posseg

    jieba.setLogLevel(60)
    tagger = jieba.posseg.POSTokenizer(jieba.Tokenizer())
    tagger.lcut("学校")
    return tagger


def tokens(text: str, title: str) -> list[Token]:
    """Words of a text; the title, names, dates, amounts and quoted names stay whole."""
    found, position = [], 0
    for match, flag in _atoms(text, title):
        found += _words(text[position : match[0]], position)
        found.append(Token(text[match[0] : match[1]], flag, match[0]))
        position = match[1]
    return found + _words(text[position:], position)


def _words(text: str, start: int) -> list[Token]:
    found = []
    for word, flag in _tagger().lcut(text) if text else ():
        found.append(Token(word, flag, start))
        start += len(word)
    return found


def _atoms(text: str, title: str) -> Iterator[tuple[tuple[int, int], str]]:
    """What must not be cut, from left to right."""
    position = 0
    pattern = _atom_pattern(title)
    while match := pattern.search(text, position):
        flag = str(match.lastgroup)
        span = name_span(text, *match.span()) if flag == "name" else match.span()
        yield span, flag
        position = span[1]


@lru_cache(maxsize=64)
def _atom_pattern(title: str) -> re.Pattern[str]:
    parts = {
        "title": re.escape(title) or "(?!)",
        "quoted": _QUOTED,
        "book": _BOOK,
        "date": lexicon.DATE.pattern,
        "name": lexicon.NAME.pattern,
        "number": _NUMERAL.pattern,
    }
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in parts.items()))


def name_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Where a transliterated name begins and ends, without letters that belong to the word beside it (园丁哈罗)."""
    first = re.split("[·・•‧]", text[start:end])[0]
    role = lexicon.ROLE.search(text[:start])
    if start and not role and len(first) > 1 and known_word(text[start - 1 : start + 1], "n"):
        start += 1
    last = re.split("[·・•‧]", text[start:end])[-1]
    if len(last) > 1 and known_word(text[end - 1 : end + 1], "vpdr"):
        end -= 1
    return start, end


def known_word(word: str, flags: str) -> bool:
    """Whether the dictionary has a word, as one of some parts of speech."""
    return len(word) > 1 and _tagger().word_tag_tab.get(word, " ")[0] in flags


def sentences(text: str) -> list[tuple[str, int]]:
    """Sentences and their offsets, cut at 。！？； outside quotation marks."""
    masked = _ENCLOSED.sub(lambda match: "　" * len(match.group()), text)
    found = []
    for match in _SENTENCE.finditer(masked):
        raw = text[match.start() : match.end()]
        if stripped := raw.strip():
            found.append((stripped, match.start() + raw.index(stripped)))
    return found


def balanced(text: str) -> bool:
    """Whether all quotation marks and brackets close."""
    return all(text.count(left) == text.count(right) for left, right in zip(_OPEN, _CLOSE, strict=True))


def bare(text: str, title: str = "") -> str:
    """A text without what stands in parentheses, except in the title."""
    kept = text.replace(title, "\0") if title else text
    return _PARENTHESIS.sub("", kept).replace("\0", title)


def clauses(sentence: str, title: str) -> list[Clause]:
    """Clauses of a sentence, adverbials and subordinate clauses joined to the clause after them."""
    body = sentence.rstrip("。！？；")
    found: list[Clause] = []
    begun: int | None = None
    for start, end in _pieces(body):
        first = start if begun is None else begun
        piece = bare(body[start:end], title)
        if _has_predicate(piece, title) and not _subordinate(piece):
            found.append(_clause(body, first, start, end, title))
            begun = None
        else:
            begun = first
    if begun is not None and found:
        last = found.pop()
        found.append(_extended(last, body[last.start :], title))
    return found


def _extended(clause: Clause, quote: str, title: str) -> Clause:
    rest = bare(quote, title)[len(bare(clause.quote, title)) :]
    return Clause(
        quote, clause.start, clause.head, clause.time, clause.subject, clause.predicate + rest, clause.connective
    )


def _pieces(body: str) -> Iterator[tuple[int, int]]:
    """Where the parts between commas begin and end."""
    masked = _ENCLOSED.sub(lambda match: "　" * len(match.group()), body)
    start = 0
    for match in re.finditer(r"[，,](?!\d{3})|$", masked):
        if body[start : match.start()].strip():
            yield start, match.start()
        start = match.end()


def _subordinate(piece: str) -> bool:
    clause_of_time = re.search("(?:(?<!小)时|时候|之后|以后|之前|之际|(?<![太皇王])后|前|期间|的话)$", piece)
    inside = re.match("[^，]{0,8}(?:由于|虽然|尽管|如果|倘若|除了|(?<![假宛])若(?![干是]))", piece)
    return piece.startswith(tuple(lexicon.SUBORDINATORS)) or bool(clause_of_time or inside or _TELLING.search(piece))


def _has_predicate(piece: str, title: str) -> bool:
    if _PERIOD.fullmatch(piece.strip()) or re.search("是[^是]*[的种类]?[^是]*中$", piece):
        return False
    words = tokens(piece, title)
    lead = _lead(words)
    cut = predicate_start(words, lead)
    if cut >= len(words):
        return 0 < lead < len(words) and words[-1].flag in ("l", "vn", "i", "vi") and words[lead].text not in "前后"
    placed = cut > 0 and words[cut].text == "在" and words[cut - 1].flag[0] == "n"
    passive = words[cut].text[0] in "由被" and cut + 1 < len(words)
    return placed or passive or any(_is_verb(words, index) for index in range(cut, len(words)))


def _is_verb(words: list[Token], index: int) -> bool:
    word = words[index]
    after = words[index + 1] if index + 1 < len(words) else Token("", "x", 0)
    sized = (word.text in lexicon.SIZES and after.flag == "number") or _measured(words, index)
    return word.flag in ("v", "vi", "d") or word.text in lexicon.COPULAS or after.text in _ASPECT or sized


def _clause(body: str, first: int, start: int, end: int, title: str) -> Clause:
    quote = body[first:end].rstrip()
    head, main = bare(body[first:start], title), bare(body[start:end], title).strip()
    connective, head, main = _without_connective(head, main)
    if head:
        main = _without_connective("", main)[2]
    words = tokens(main, title)
    lead = _lead(words)
    if not head and lead:
        cut = words[lead].start if lead < len(words) else len(main)
        head, main = main[:cut], main[cut:]
        words = tokens(main, title)
    cut = predicate_start(words, 0)
    if (cut >= len(words) and head) or (_OFFICE.match(main) and not main.startswith(title)):
        cut = 0
    position = words[cut].start if cut < len(words) else len(main)
    time = head.rstrip("，, ")
    relative = bool(lexicon.RELATIVE_TIMES.match(head or main))
    subject, predicate = main[:position].strip(), main[position:].strip()
    return Clause(quote, first, head, time if _is_time(time) else "", subject, predicate, connective, relative)


def _without_connective(head: str, main: str) -> tuple[str, str, str]:
    text = head or main
    for word in lexicon.CONNECTIVES:
        rest = text.removeprefix(word).lstrip("，,")
        if text.startswith(word) and rest and not known_word(text[: len(word) + 1], "nvdartbs"):
            return (word, rest, main) if head else (word, "", rest)
        if head and text.startswith(word) and not rest:
            return word, "", main
    return "", head, main


def _is_time(text: str) -> bool:
    return bool(re.fullmatch(f"(?:在|于)?(?:{lexicon.DATE.pattern})", text))


def _lead(words: list[Token]) -> int:
    """How many words at the front name a time."""
    count = 0
    while count < len(words) and words[count].flag == "date":
        count += 1
    return 0 if count < len(words) and words[count].text in "的前后至到" else count


def predicate_start(words: list[Token], start: int) -> int:
    """The index of the word a predicate begins with, behind relative clauses like 她酿出的."""
    index = start
    while index < len(words):
        if _opens(words, index):
            end = _relative_end(words, index)
            if end is None:
                return index
            index = end
        index += 1
    return index


def _opens(words: list[Token], index: int) -> bool:
    """Whether a predicate can begin with a word."""
    word = words[index]
    after = words[index + 1] if index + 1 < len(words) else Token("", "x", 0)
    if word.text in lexicon.COPULAS | lexicon.PREPOSITIONS | lexicon.ADVERBS or after.text in _ASPECT:
        return True
    if word.flag == "date":
        return index > 0 and after.text != "的"
    if word.flag == "number":
        return index > 0 and (word.text.endswith(("次", "度")) or _measured(words, index))
    if word.flag == "a" or word.text in lexicon.SIZES:
        return after.flag == "number"
    if word.flag == "vn":
        return index > 0 and words[index - 1].flag == "d"
    verb = word.flag[0] == "v" or word.flag in ("d", "zg")
    return verb and not (word.flag != "d" and after.flag[0] == "v" and after.text == "的")


def _measured(words: list[Token], index: int) -> bool:
    """Whether a word is the amount in a clause without a verb, such as 占地面积70亩."""
    last = index == len(words) - 1 and words[index].flag == "number"
    about = 1 if index and words[index - 1].text in ("约", "大约", "近", "超过", "逾") else 0
    return last and index > about and bool(lexicon.PARTS.search(words[index - 1 - about].text))


def _relative_end(words: list[Token], index: int) -> int | None:
    """The index of the 的 that closes a relative clause, or nothing when the word opens the predicate itself."""
    opener = words[index]
    if opener.text in lexicon.COPULAS - {"来自", "位于", "拥有", "成为"}:
        return None
    if words[index + 1 : index + 2] and words[index + 1].text == "的":
        return index + 1
    inside = words[index : index + 9]
    for position, word in enumerate(inside[1:], index + 1):
        if word.text in ("了", "着", "过", "，") or word.flag == "date":
            return None
        if word.text == "的":
            verb_inside = any(other.flag[0] in "va" for other in words[index:position])
            return position if verb_inside and _predicate_follows(words, position, opener) else None
    return None


def _predicate_follows(words: list[Token], closing: int, opener: Token) -> bool:
    """Whether a noun and then a predicate come after the 的 of what may be a relative clause."""
    for position in range(closing + 2, len(words)):
        word, before = words[position], words[position - 1]
        if opener.text in lexicon.PREPOSITIONS:
            if word.text in ("是", "为", "叫", "有"):
                return before.flag[0] in "nr"
        elif _opens(words, position) and before.flag[0] in "nlvi":
            return True
    return False
