"""Whom or what a Chinese clause is about: pronouns, bare nouns and left-out subjects made explicit where it is sure."""

import re
from dataclasses import dataclass, field

from knowledge_update.documents.blocks import Document
from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.clauses import Clause, tokens

_CHINESE_NAME = re.compile(rf"[{lexicon.CHINESE}]{{2,4}}$")
_PERSON_CLUE = re.compile(
    "政治|武将|演员|歌手|皇后|皇帝|将军|运动员|球员|教授|作家|画家|诗人|导演|[家者员人手][，。]|出生|生于|享年|逝世|同志"
)
_ADVERBIAL = re.compile(
    rf"^(?:{'|'.join([*lexicon.PREPOSITIONS, *lexicon.SUBORDINATORS])})|由于|虽然|尽管|如果|"
    "(?:(?<![太皇王])后|[里中上下前时初间日天年月季末起底]|期间|以来|方面|如今|现在|当初|最初|早期|后期)[，, ]*$"
)
_SURE = re.compile("武将|演员|歌手|享年|运动员|球员|政治家|出生于")
_IS_ONE = re.compile("[是为]一?[家所个座间]")
_LOCATIVE = re.compile("[里上中下内外旁]$")
_DEMONSTRATIVE = re.compile("(?:该|这|那|此|本)(?:一)?(?:[个座口家所间种款部首位条艘支项本张])?")
_STATIC = re.compile(r"(?:叫|名叫|位于|坐落|建于|[高长宽重深]\d|共有|现有|拥有|有)|" + lexicon.BE.pattern)
_NAMED = re.compile("(?:名叫|叫做|叫|取名|名为)(“[^“”]+”)$")
_MAX_LEAD = 40


@dataclass(frozen=True)
class Reading:
    """A clause that stands alone.

    Args:
        clause: The clause as found.
        context: Words before it that name what it is about (在潮歌学校，), or empty.
        lead: The clauses before it, where it cannot be understood without them; else empty.
        head: Adverbials, with their comma.
        subject: The subject made explicit.
        predicate: The rest.
        start: Where its quote begins in the sentence.
    """

    clause: Clause
    context: str
    lead: str
    head: str
    subject: str
    predicate: str
    start: int

    @property
    def text(self) -> str:
        """The clause without context and without the full stop."""
        return f"{self.lead}{self.head}{self.subject}{self.predicate}"

    @property
    def end(self) -> int:
        """Where its quote ends in the sentence."""
        return self.clause.start + len(self.clause.quote)


@dataclass
class Subjects:
    """Resolves the clauses of one document in the order of reading.

    Args:
        document: The document.
    """

    document: Document
    topic: str = ""
    year: str = ""
    introduced: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Looks at what kind of thing the title names."""
        text = "".join(block.text for block in self.document.blocks)
        self.title = re.sub(r"\s*[（(][^（）()]*[）)]$", "", self.document.title)
        self.person = text.startswith(self.title) and self._names_person(text[:150])
        self.organisation = not self.person and bool(lexicon.ORGANISATION.search(self.title))
        self.anchored = self.organisation or self.title in text
        if text.startswith(self.title):
            self.topic = self.title

    def _names_person(self, opening: str) -> bool:
        if lexicon.NAME.fullmatch(self.title):
            return True
        if not _CHINESE_NAME.match(self.title) or lexicon.ORGANISATION.search(self.title):
            return False
        surnamed = self.title[0] in lexicon.SURNAMES and len(self.title) <= 3
        return bool((surnamed and _PERSON_CLUE.search(opening)) or (len(self.title) == 4 and _SURE.search(opening)))

    def resolve(self, clause: Clause, earlier: list[Reading]) -> Reading | str:
        """Makes a clause stand alone.

        Returns:
            The clause, or why it cannot stand alone.
        """
        if not clause.predicate:
            return "no predicate"
        if clause.head and not clause.time and not _ADVERBIAL.search(clause.head):
            return "adverbial not sure"
        if clause.relative and not self._dated(clause):
            return "a time relative to another"
        found = None if clause.relative and earlier else self._alone(clause, earlier)
        if found is None:
            found = self._by_name(clause, earlier) or self._led(clause, earlier)
        if found is None:
            if clause.subject:
                self.lose()
            return "subject not sure"
        self._remember(found)
        return found

    def lose(self) -> None:
        """Forgets what was spoken of last, so that no pronoun is taken for it."""
        self.topic = "?"

    def _dated(self, clause: Clause) -> bool:
        return bool(self.year) and clause.head.startswith(("同年", "当年"))

    def _remember(self, found: Reading) -> None:
        self.topic = found.subject or found.head
        if year := lexicon.YEAR.search(found.head + found.predicate):
            self.year = year.group()
        self.introduced.update(re.findall("“[^“”]+”", found.clause.quote))

    def _alone(self, clause: Clause, earlier: list[Reading]) -> Reading | None:
        """The clause with its own or the last subject, if no word is left that points elsewhere."""
        subject = self._subject(clause, earlier)
        scoped = any(reading.head for reading in earlier) and not clause.head
        if subject is None or (scoped and not self._names_title(clause.subject)):
            return None
        head = self._rewritten(re.sub("^(?:同年|当年)", self.year, clause.head))
        predicate = self._rewritten(clause.predicate)
        if lexicon.PRONOUNS.search(head + subject.replace(self.title, "") + predicate):
            return None
        context = self._context(head, subject, predicate)
        return Reading(clause, context, "", head, subject, predicate, clause.start)

    def _by_name(self, clause: Clause, earlier: list[Reading]) -> Reading | None:
        """The clause with the name that a clause before it gave to something (叫“雾角”)."""
        given = [match for reading in earlier if (match := _NAMED.match(reading.predicate)) and reading.subject]
        part = lexicon.PARTS.search(clause.subject)
        if len(given) != 1 or not self.organisation or clause.head or (clause.subject and not part):
            return None
        subject = f"{self.title}{given[0][1]}的{clause.subject}" if part else f"{self.title}的{given[0][1]}"
        predicate = self._rewritten(clause.predicate)
        if lexicon.PRONOUNS.search(predicate) or any(reading.head for reading in earlier):
            return None
        return Reading(clause, "", "", "", subject, predicate, clause.start)

    def _led(self, clause: Clause, earlier: list[Reading]) -> Reading | None:
        """The clause behind the clauses before it in its sentence."""
        if not earlier or earlier[-1].end + 1 != clause.start:
            return None
        before = earlier[-1]
        own = before.text
        if len(own) > _MAX_LEAD or own.count("，") > 2:
            return None
        own = f"{own}，{clause.connective}"
        head, predicate = self._rewritten(clause.head), self._rewritten(clause.predicate)
        return Reading(clause, before.context, own, head, self._rewritten(clause.subject), predicate, before.start)

    def _names_title(self, subject: str) -> bool:
        return subject.startswith((self.title, "这里", "该校")) or self._called(subject) is not None

    def _subject(self, clause: Clause, earlier: list[Reading]) -> str | None:
        """The subject made explicit; nothing where it is not sure."""
        subject = clause.subject
        if not subject:
            return self._carried(clause, earlier)
        if lexicon.DEPENDENT.match(subject):
            return self._possessor(subject, earlier)
        if self.title in subject:
            return subject
        if (rest := self._called(subject)) is not None:
            return f"{self.title}{rest}"
        if match := lexicon.PERSON_PRONOUN.match(subject):
            return self._with(self._last_person(earlier), subject[match.end() :])
        if match := lexicon.THING_PRONOUN.match(subject):
            return self._with(self._last_thing(earlier), subject[match.end() :])
        if match := _DEMONSTRATIVE.match(subject):
            return self._pointed(subject[match.end() :])
        return self._owned(subject, earlier)

    def _with(self, antecedent: str | None, rest: str) -> str | None:
        return None if antecedent is None else f"{antecedent}{rest}"

    def _carried(self, clause: Clause, earlier: list[Reading]) -> str | None:
        """The subject of a clause that has none."""
        if self.title in clause.predicate:
            return None
        if not earlier:
            if clause.head and not clause.time and self._owner_in(clause.head):
                return ""
            about_title = self.anchored and (not self.topic or self.topic.startswith(self.title))
            return self.title if about_title else None
        before = earlier[-1]
        if re.match("[在对].*的[^的]{1,6}$", clause.predicate):
            return None
        if _IS_ONE.match(clause.predicate) and before.subject.startswith(f"{self.title}的"):
            # "公司总部位于无锡，是一家企业": what is one is the company, not its seat.
            return self.title
        is_one = before.subject == self.title or person_at_end(before.subject, self.title)
        stative = is_one or (not lexicon.BE.match(before.predicate) and _STATIC.match(before.predicate))
        safe = stative and not before.lead and before.subject and not _LOCATIVE.search(before.subject)
        return before.subject if safe else None

    def _owner_in(self, head: str) -> bool:
        place = _LOCATIVE.sub("", head.rstrip("，, "))
        return self.organisation and bool(lexicon.PARTS.search(place.split("的")[-1]))

    def _possessor(self, subject: str, earlier: list[Reading]) -> str | None:
        """What 其 or 每 at the head of a subject belongs to."""
        about_title = earlier[-1].subject == self.title if earlier else self.topic == self.title
        if subject.startswith("其") and not re.match("其[中他它余实]", subject) and about_title:
            return f"{self.title}的{subject[1:]}"
        rest = subject[1:]
        if subject.startswith("每") and re.match("[天年日月周]", rest) and about_title:
            return f"{self.title}{subject}"
        return None

    def _called(self, subject: str) -> str | None:
        """What follows a bare word for the thing of the title (学校), or nothing when there is none."""
        for word in self._own_words():
            if subject.startswith(word):
                rest = subject[len(word) :]
                first = tokens(subject, self.title)[0].text
                whole = first in (word, word[: len(first)]) or rest.startswith("的")
                return rest if whole else None
        return None

    def _own_words(self) -> list[str]:
        if self.person:
            parts = re.split("[·・•]", self.title)
            return [parts[-1], parts[0]] if len(parts) > 1 else [self.title[2:]] if len(self.title) == 4 else []
        if not self.organisation:
            return []
        words = [self.title[cut:] for cut in range(1, len(self.title) - 1)]
        if lexicon.SCHOOL.search(self.title):
            words += ["学校", "该校", "本校"]
        return [word for word in words if word in lexicon.CLASS_WORDS or len(word) > 2] + ["这里"]

    def _last_person(self, earlier: list[Reading]) -> str | None:
        """Whom 他 or 她 means, if the last subject is a person or the clause before ends with one."""
        topic = earlier[-1].subject if earlier else self.topic
        if earlier and (name := self._complement(earlier[-1])):
            return f"{topic}{name}"
        if topic == self.title:
            return self.title if self.person else None
        name = person_at_end(topic, self.title)
        return (topic if earlier else name) if name else None

    def _complement(self, before: Reading) -> str:
        """The person a clause like 老板是某某 ends with."""
        if not lexicon.BE.match(before.predicate):
            return ""
        return person_at_end(before.predicate, self.title)

    def _last_thing(self, earlier: list[Reading]) -> str | None:
        topic = earlier[-1].subject if earlier else self.topic
        return self.title if topic == self.title and not self.person else None

    def _pointed(self, noun: str) -> str | None:
        """What 这口钟 or 该校 means."""
        head = noun.split("的")[0]
        if self.title.endswith(head) and not self.person and head:
            return f"{self.title}{noun[len(head) :]}"
        if head in lexicon.CLASS_WORDS and self.topic == self.title and self.anchored:
            return f"{self.title}{noun[len(head) :]}"
        same = len(head) <= 2 and len(self.topic) > len(head) and self.topic.endswith(head)
        return f"{self.topic}{noun[len(head) :]}" if same and head else None

    def _owned(self, subject: str, earlier: list[Reading]) -> str | None:
        """A part or property named after what it belongs to; anything else as it is."""
        name = person_at_end(subject, self.title)
        noun = subject.removesuffix(name).removesuffix("们")
        noun = _LOCATIVE.sub("", noun)
        first = tokens(subject, self.title)[0].text
        part = any(lexicon.PARTS.search(word) for word in (noun, first, noun.split("的")[0]))
        known = self.organisation and subject in self.introduced
        starts_own = bool(re.match(rf"[{lexicon.CHINESE}]", subject)) and not lexicon.NAME.match(subject)
        if known or (part and starts_own and not re.match(r"[一二三四五六七八九十\d]", subject)):
            if earlier and earlier[-1].subject != self.title:
                return None
            return join_owner(self.title, subject) if self.anchored else None
        return subject

    def _rewritten(self, text: str) -> str:
        """A predicate or adverbial with 该校 and 这里 named."""
        words = ["该校", "本校"] if lexicon.SCHOOL.search(self.title) else []
        if self.organisation:
            words += [f"该{self.title[cut:]}" for cut in range(1, len(self.title))] + ["这里"]
        for word in words:
            text = text.replace(word, self.title)
        owned = text and text[0] not in "在于自从因由" and self._owner_in(text) and self.title not in text
        return join_owner(self.title, text) if owned and text.endswith("，") else text

    def _context(self, head: str, subject: str, predicate: str) -> str:
        """Words that name what a clause is about when nothing else in it does."""
        if self.title in head + subject + predicate:
            return ""
        place = self.organisation and not subject.startswith("“") and "在" not in head + predicate
        return f"在{self.title}，" if place else f"关于{self.title}，"


def join_owner(owner: str, thing: str) -> str:
    """The owner before a thing; 的 only once."""
    bound = "的" in thing or re.match("[全每各现历首前]", thing)
    return f"{owner}{thing}" if bound else f"{owner}的{thing}"


def person_at_end(text: str, title: str) -> str:
    """The person's name a text ends with, or an empty string."""
    words = tokens(text, title)
    if not words:
        return ""
    last = words[-1]
    return last.text if is_person(last.text, last.flag) else ""


def is_person(text: str, flag: str) -> bool:
    """Whether a word is surely the name of a person."""
    if flag == "name":
        return True
    if flag not in ("nr", "nrt") or lexicon.ORGANISATION.search(text):
        return False
    transliterated = len(text) >= 3 and all(letter in lexicon.NAME_LETTERS for letter in text)
    return transliterated or (2 <= len(text) <= 3 and text[0] in lexicon.SURNAMES)
