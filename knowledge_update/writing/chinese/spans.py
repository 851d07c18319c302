"""What can be asked about a Chinese clause: its short answers, with the words that ask for them."""

import re
from collections.abc import Iterator

from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.amounts import dates, numbers, sizes
from knowledge_update.writing.chinese.clauses import Token
from knowledge_update.writing.chinese.core import NOUNS, Core, Span, span_of
from knowledge_update.writing.chinese.subjects import Reading, is_person

_JOINING = "、和与及或跟"
_MAX_ANSWER = 18
# What says something by itself.
_NAMING = frozenset(lexicon.words("n nr nrt ns nt nz vn an l i j eng quoted book name number date"))
_INDEFINITE = re.compile(
    "(?:一|其中的?一|某)(?:名|个|位|种|只|条|座|口|所|间|家|支|艘|辆|架|幅|首|张|枚|颗|棵|株|块|份|场|次|届|部|项|门|处|段|类|款|本)"
)


def spans(reading: Reading, title: str) -> list[Span]:
    """All that can be asked of a clause, one span for each answer."""
    core = Core(reading, title)
    if re.search('：|虽然|如果|由于|[若]|参见|无论|"', reading.lead + core.text) or core.text.count("，") > 3:
        return []
    found: list[Span] = []
    for finder in _FINDERS:
        for span in finder(core):
            if _sound(core, span) and not any(span.overlaps(other) for other in found):
                found.append(span)
    return found


def nominals(reading: Reading, title: str) -> list[Span]:
    """The nouns, names and numbers of a clause that stand in it once, neighbours together, in their order."""
    core = Core(reading, title)
    runs: list[tuple[int, int]] = []
    for word in core.words:
        if word.flag not in _NAMING or word.text in title:
            continue
        start = runs.pop()[0] if runs and runs[-1][1] == word.start else word.start
        runs.append((start, word.end))
    found = [span_of(core, "cloze", start, end, "") for start, end in runs if end - start > 1]
    return [span for span in found if _sound(core, span) and span.answer not in reading.context]


def _sound(core: Core, span: Span) -> bool:
    quote = core.reading.clause.quote
    rest = core.text[: span.start] + core.text[span.end :] + core.reading.lead + core.title
    tail = core.text[core.predicate_at : span.end]
    if span.at >= core.predicate_at and "，" in tail:
        return False
    clean = not re.search("[：，]|^的", span.answer) and not lexicon.PRONOUNS.search(span.answer)
    return 0 < len(span.answer) <= _MAX_ANSWER and span.answer in quote and span.answer not in rest and clean


def _persons(core: Core) -> Iterator[Span]:
    for index, word in enumerate(core.words):
        before, after = core.around(word.start, word.end)
        inside_title = word.text in core.title
        if not is_person(word.text, word.flag) or inside_title or (before + after).strip(_JOINING) != before + after:
            continue
        if index + 1 < len(core.words) and core.words[index + 1].flag not in ("v", "p", "d", "date", "c", "vi"):
            continue
        start, opener = _phrase_start(core, index)
        role = core.text[start : word.start]
        yield from _person(core, word, start, opener, role)


def _phrase_start(core: Core, index: int) -> tuple[int, str]:
    """Where the noun phrase begins that ends with a name, and the word before it."""
    first = index
    while first > 0 and core.words[first - 1].flag in ("n", "b", "a", "vn", "s", "ns", "v", "nz", "nrt", "number"):
        if core.words[first - 1].flag == "v" and (first < 2 or core.words[first - 2].text not in ("由", "被")):
            break
        if core.words[first - 1].text in lexicon.COPULAS:
            break
        first -= 1
    return core.words[first].start, core.words[first - 1].text if first else ""


def _person(core: Core, word: Token, start: int, opener: str, role: str) -> Iterator[Span]:
    if word.start >= core.predicate_at and opener == "是" and word.end == len(core.text):
        yield Span("who", start, word.end, "谁", "哪个人" if not role else "", word.text, word.start)
    elif not role and (opener in ("由", "被", "是", "") or word.start == core.subject_at):
        yield Span("who", start, word.end, "谁", "哪个人", word.text, word.start)
    elif opener in ("由", "被") and lexicon.ROLE.search(role) and not re.match("[第前现]", role):
        yield Span("who", start, word.end, f"哪位{role}", "谁", word.text, word.start)
    elif opener == "的" and _shared_role(role) and core.subject_at <= start < core.predicate_at:
        yield Span("who", start, word.end, f"哪位{role}", "", word.text, word.start)


def _shared_role(role: str) -> bool:
    """Whether several people can have a role, so that 哪位 can be asked."""
    return bool(lexicon.ROLE.search(role)) and not lexicon.UNIQUE_ROLE.search(role)


def _agents(core: Core) -> Iterator[Span]:
    """Who 由 names, when it is not a person known as such."""
    predicate = core.text[core.predicate_at :]
    match = re.match(
        rf"由([^由，的]{{2,{_MAX_ANSWER}}}?)(?:(?:在|于)?(?:{lexicon.DATE.pattern}))?(?:{lexicon.ESTABLISH}|运营|拥有|组成)",
        predicate,
    )
    if not match or re.search(f"[{_JOINING}]", match[1]):
        return
    start, end = core.predicate_at + match.start(1), core.predicate_at + match.end(1)
    if core.nominal(start, end) and not any(is_person(word.text, word.flag) for word in core.words):
        composed = match.group().endswith("组成")
        yield span_of(core, "what" if composed else "who", start, end, "什么" if composed else "谁")


def _named(core: Core) -> Iterator[Span]:
    """The name after 名叫 and the like."""
    pattern = rf"({'|'.join(lexicon.NAME_VERBS)})(“[^“”]+”|「[^「」]+」|[^，、“”《》和及或：]{{2,14}})$"
    match = re.search(pattern, core.text[core.predicate_at :])
    if not match or match[2].startswith(("为", "作", "是")):
        return
    quoted = match[2][0] in "“「"
    start, end = core.predicate_at + match.start(2), core.predicate_at + match.end(2)
    if not quoted and (not core.nominal(start, end) or "的" in match[2]):
        return
    answer = match[2].strip("“”「」")
    word = "什么名字" if match[1].endswith("为") else "什么"
    yield Span("what", start, end, word, "", answer, start + (1 if quoted else 0))


def _books(core: Core) -> Iterator[Span]:
    works = [word for word in core.words if word.flag == "book"]
    if len(works) != 1 or works[0].start < core.predicate_at:
        return
    work, title = works[0], works[0].text.strip("《》")
    before = core.text[: work.start]
    kind = next((noun for noun in lexicon.BOOKS if before.endswith(noun)), "")
    beside = "".join(core.around(work.start, work.end))
    if kind and not re.search(f"[{_JOINING}中里上的]", beside) and title != core.title:
        yield Span("which", work.start - len(kind), work.end, lexicon.BOOKS[kind], "", title, work.start + 1)


def _places(core: Core) -> Iterator[Span]:
    """The place after 位于 and the like, or after 在, at the end of the clause."""
    predicate = core.text[core.predicate_at :]
    match = re.search(rf"({'|'.join(lexicon.PLACE_VERBS)}|^在)([^，：]{{2,{_MAX_ANSWER + 2}}})$", predicate)
    if not match or re.search(lexicon.DATE.pattern, match[2]) or lexicon.BE.match(predicate):
        return
    start = core.predicate_at + match.start(2)
    end = core.predicate_at + match.end(2)
    noun = re.sub("(?<=.)[上里内中]$", "", match[2])
    if not core.nominal(start, start + len(noun)) or ("、" in noun and match[1][:2] != "分布"):
        return
    answer = _INDEFINITE.sub("", noun, count=1) if _INDEFINITE.match(noun) else noun
    school = match[1] in ("毕业于", "就读于", "任教于") and lexicon.SCHOOL.search(noun)
    words = ("哪所学校", "什么学校") if school else ("哪里", "什么地方")
    if match[1] in ("毕业于", "就读于", "任教于") and not school:
        return
    yield Span("where", start, end, *words, answer, core.text.index(answer, start))


def _within(core: Core) -> Iterator[Span]:
    """The place between 在 and the verb."""
    for index, word in enumerate(core.words):
        if word.text != "在" or word.start < core.predicate_at:
            continue
        end = index + 1
        while end < len(core.words) and core.words[end].flag in NOUNS - {"vn", "number", "a"}:
            end += 1
        if end < len(core.words) and core.words[end].flag == "v" and end > index + 1:
            start, stop = core.words[index + 1].start, core.words[end - 1].end
            noun = core.text[start:stop]
            inside = re.search(rf"(?:{lexicon.PLACE_END})(?:里|内|旁|附近|上)?$", noun)
            if inside and "、" not in noun and not re.search("[与和]", noun):
                answer = re.sub("(?<=..)(?:里|内|旁|附近|上)$", "", noun)
                yield Span("where", start, stop, "哪里", "什么地方", answer, start)


def _posts(core: Core) -> Iterator[Span]:
    """The post after 担任 and the like."""
    predicate = core.text[core.predicate_at :]
    match = re.search(rf"({'|'.join(lexicon.POST_VERBS)})([^，：、]{{2,{_MAX_ANSWER}}})$", predicate)
    if not match or not core.nominal(core.predicate_at + match.start(2), core.predicate_at + match.end(2)):
        return
    held = match[1] != "当过"
    start = core.predicate_at + match.start(2)
    yield span_of(core, "what", start, len(core.text), "什么职务" if held else "什么")


def _be(core: Core) -> Iterator[Span]:
    """What something is."""
    predicate = core.text[core.predicate_at :]
    match = lexicon.BE.match(predicate)
    noun = predicate[match.end() :] if match else ""
    if not match or not noun or noun[0] in "由在因用从指以为被于对不否的属" or noun.endswith("的") or len(noun) > 24:
        return
    start = core.predicate_at + match.end()
    indefinite = _INDEFINITE.match(noun)
    answer = noun[indefinite.end() :] if indefinite else noun
    nominal = core.nominal(start, len(core.text))
    if not answer or (match.group().endswith("为") and not nominal) or re.search("、|而|但|并|[是有]", noun):
        return
    last = core.words[-1]
    if core.reading.subject.endswith(tuple("尊封称改定命评选列立视")):
        return
    if re.search(r"[二两三四五六七八九十百几数\d]倍$", noun):
        return
    if last.flag[0] not in "nsvlj" and last.flag not in ("quoted", "eng", "zg"):
        return
    word, other = _what_kind(core, noun)
    if match.group().endswith("为"):
        start, word, other = start - 1, f"是{word}", ""
    yield Span("what", start, len(core.text), word, other, answer, len(core.text) - len(answer))


def _what_kind(core: Core, noun: str) -> tuple[str, str]:
    """The question word for what something is."""
    subject = core.reading.subject
    kin = lexicon.ROLE.search(subject) and ("的" not in noun or re.search("[儿子女妻室夫父母兄弟姐妹]", noun))
    if kin:
        return "谁", ""
    person = any(is_person(word.text, word.flag) for word in core.words if word.end == core.predicate_at)
    if person:
        return "什么人", ""
    if re.search(r"[厂楼院店馆]$", noun) and re.search(r"[楼厅房屋地]$", subject):
        return "什么地方", "什么"
    return "什么", ""


def _objects(core: Core) -> Iterator[Span]:
    """What a verb does something to, and what 用 uses."""
    yield from _materials(core)
    for index in range(len(core.words) - 1, 0, -1):
        word = core.words[index]
        if word.start < core.predicate_at or word.flag not in NOUNS | {"ul", "uz", "ug", "v"}:
            return
        aspect = word.text in ("了", "过", "着")
        if not aspect and word.text not in lexicon.OBJECT_VERBS:
            continue
        yield from _object(core, word)
        return


def _object(core: Core, verb: Token) -> Iterator[Span]:
    noun = core.text[verb.end :]
    indefinite = _INDEFINITE.match(noun)
    answer = noun[indefinite.end() :] if indefinite else noun
    start = len(core.text) - len(answer)
    person = any(is_person(word.text, word.flag) or lexicon.ROLE.search(word.text) for word in core.words[-1:])
    numbered = re.match(rf"[\d一二三四五六七八九十百两几许多数]|{lexicon.DATE.pattern}", answer)
    if len(answer) < 2 or len(answer) > 14 or person or numbered or core.title in answer:
        return
    if core.nominal(start, len(core.text)) and core.words[-1].flag not in ("ns", "m", "q", "s", "k"):
        yield Span("what", verb.end, len(core.text), "什么", "", answer, start)


def _materials(core: Core) -> Iterator[Span]:
    predicate = core.text[core.predicate_at :]
    match = re.match(
        r"是?用([^，、和用的]{2,6}|[^，、和用]{2,8})(?:来)?(?:调味|制成|铸成|做成|建成|酿成|砌成|加热|织成|写成)(?:的)?$",
        predicate,
    )
    if match:
        start, end = core.predicate_at + match.start(1), core.predicate_at + match.end(1)
        yield span_of(core, "what", start, end, "什么")


# In the order of trust: a later finder does not ask for what an earlier one found.
_FINDERS = (sizes, dates, numbers, _persons, _agents, _named, _books, _places, _within, _posts, _be, _objects)
