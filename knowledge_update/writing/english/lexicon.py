"""The words that the English rules know: general vocabulary, nothing of any document."""

import re
from functools import cache

# Nouns that say what somebody is; nouns in -er, -or, -ist, -ian, -man and -woman count too, but for the exceptions.
PERSON_NOUNS = frozenset(
    """
    actor actress adult ambassador apprentice architect artist astronomer athlete aunt author baker baron baroness
    biologist bishop boatswain botanist boy brother caliph captain carpenter chancellor chef chemist chieftain child
    cleric coach colonel commander composer cook count countess cousin daughter dean dentist designer diplomat
    doctor duchess duke earl economist editor emir emperor empress engineer farmer father foreman founder friend
    gardener general girl glassblower grandfather granddaughter grandmother grandson guard guide harbourmaster heir
    helmsman husband inventor journalist judge keeper king knight lady lawyer lieutenant lord magistrate maid man
    mason mathematician mayor mechanic merchant midwife miller minister monk mother musician navigator neighbour
    nephew niece novelist nun nurse officer owner painter partner philosopher photographer physicist pilot pioneer
    player poet policeman politician pope postwoman president priest prince princess printer prisoner professor
    psychologist queen quarterback rector reporter researcher saint sailor scholar scientist scribe sculptor
    secretary shah sergeant servant shepherd singer sister skipper smuggler soldier son spy statesman stonemason
    student sultan surgeon surveyor tailor teacher theologian tycoon uncle veteran veterinarian vicar volunteer
    widow widower wife witness woman writer mountaineer auctioneer islander villager foreigner rebel customer
    candidate delegate immigrant migrant descendant official agent noble treasurer commissioner citizen resident
    inhabitant patient parent tourist refugee survivor prophet""".split()
)
_PERSON_ENDING = re.compile(r"(?:ist|ian|man|woman|smith|wright|monger)$")
_NOT_PERSONS = frozenset(
    """adder anchor anger armor banner barrier behavior behaviour boiler bladder buffer bumper burner carrier censor
    chopper cipher clamor cooker danger decor deer detector disaster disorder drawer elevator error escalator favor
    feather finger folder former frontier gender generator hammer hanger helicopter honor honour horror hunger
    indicator inferior
    labor labour ladder latter layer lighter liquor manner manor marker meteor minor monitor monster newspaper nuclear
    number odor offer oscillator oyster panther parameter pepper pier pointer poster power prayer primer printer
    projector radiator ranger razor register remainder roller rotor rubber rudder rumor sensor server shoulder
    skyscraper slipper smoker sneaker splendor spider stapler sticker superior temper terror thriller thunder ticker
    tiger timer toaster transfer transistor trailer trigger tumor vapor viewer wafer whisper wonder human median
    amphibian specimen talisman career beer veneer
    tower river water number letter power paper corner quarter center master member center centre border cover
    container computer computer printer order matter weather winter summer character counter chapter charter cluster
    copper silver timber rubber leather butter dinner supper cancer fever motor tractor reactor mirror factor sector
    vector error harbor harbour floor door interior exterior colour color humor flavour boulder shelter meter metre
    litre liter theater theatre chamber cylinder transformer freighter steamer tanker trawler schooner cutter liner
    cooler heater filter semester border corridor tenor list mist fist twist""".split()
)

# What somebody is to somebody else.
KIN = frozenset(
    """aunt brother child cousin daughter father friend grandfather granddaughter grandmother grandson heir husband
    mother neighbour nephew niece parent partner sister son uncle widow widower wife""".split()
)

# Last words of names that are not people's.
THING_NAMES = frozenset(
    """abbey academy archive arena association avenue bakery bank bay beach bowl brewery bridge canal cape castle
    cathedral cave championship channel chapel church city clinic coast college committee company cooperative council
    county court cove creek cup dairy day desert district fair falls farm ferry festival field forest fort foundation
    gallery gate group guild hall harbour head hill hospital hotel house hut inn institute island isle journal lake
    lane league library light lighthouse line lodge market marsh meadow mill mine mountain mountains museum news
    observatory ocean office palace park party path peak peninsula pier place plaza port post press prize province quay
    race railway reef republic reserve ridge river road rock rocks room school sea ship shipyard society sons sound
    spring square stadium state station street studio summit theatre times tor tower town trench trust university valley
    village wall war wells wharf wood woods works yard""".split()
)

PLACE_NOUNS = frozenset(
    """abbey airport area attic bank barn basement bay beach building cape castle cave cellar centre center chapel
    church
    city cliff coast continent corner country county court cove desert district field floor forest garden hall harbor
    harbour headland hill hotel house island isle kitchen lake lane library market marsh mine mountain museum
    neighborhood neighbourhood office park peninsula pier place plain port province quay region river road room school
    sea shore slope square stadium state station street summit theatre town tunnel university valley village warehouse
    wharf wood world yard crypt crater shop mouth edge north south east west stable tower harbourside foot""".split()
)

MONTHS = "January February March April May June July August September October November December".split()
_MONTH = "|".join(MONTHS)
# What a document calls itself.
DOCUMENTS = frozenset(
    """agreement article chapter contract document guide handbook lease licence license manual notice page paper policy
    release report study version""".split()
)
YEAR = re.compile(r"(?:1[0-9]|20)\d\d")
DATE = re.compile(
    rf"(?:(?:early|late|mid|the (?:spring|summer|autumn|fall|winter) of|the beginning of|the end of)\s+)?"
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH})(?: (?:1\d|20)\d\d)?|(?:{_MONTH}) \d{{1,2}}(?:, (?:1\d|20)\d\d)?"
    rf"|(?:{_MONTH})(?: (?:1\d|20)\d\d)?|(?:1\d|20)\d\d(?:s|[-–]\d\d)?)"
)
FULL_DATE = re.compile(rf"\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH})|(?:{_MONTH}) \d{{1,2}}(?!\d)")
_PLACE = r"(?:(?:,? in |, )([A-Z][\w' -]{0,40}(?:, [A-Z][\w' -]{0,40})?))?"
_FORMERLY = r"(?:(?:born|née) [A-Z][\w' -]{0,40}; ?)?"
_DATED = r"(?=[^()]{0,80}(?:\d [A-Z]|[a-z] \d))"
# "(1914–1998)" may be when somebody ruled, "(1914)" when he wrote: years alone tell no life.
LIFE = re.compile(
    rf"\({_FORMERLY}(?:{_DATED}(?:born )?({DATE.pattern}){_PLACE}"
    rf"\s*[–—-]\s*({DATE.pattern}){_PLACE}|(?:born |b\. |\* ?)({DATE.pattern}){_PLACE})\)"
)
DAYS = frozenset("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())

NUMBER_WORDS = frozenset(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half
    dozen""".split()
)
TIME_UNITS = frozenset("second minute hour day night week month year decade century season".split())

# What a length is asked for with, by the adjective it measures.
MEASURE_ADJECTIVES = {
    "high": "how high", "tall": "how tall", "long": "how long", "wide": "how wide", "deep": "how deep",
    "thick": "how thick", "old": "how old", "heavy": "how heavy", "large": "how large", "big": "how big",
}  # fmt: skip
COLOURS = frozenset(
    """amber beige black blue bronze brown copper cream crimson gold golden green grey gray indigo ivory lilac magenta
    maroon orange pink purple red rust scarlet silver turquoise violet white yellow""".split()
)
# Nouns whose amount is what is asked for: "a height of 588 metres".
MEASURE_NOUNS = frozenset(
    """altitude amount area average budget capacity cost debt deficit depth diameter distance fee fine height income
    length level loan loss mass number percentage population price prize profit rate reward salary score share size
    speed sum surplus tax temperature thickness ticket toll total turnover value volume wage weight width yield
    magnitude""".split()
)
# Adverbs that belong to their verb as a particle does.
PARTICLES = frozenset("away back down off out over together up".split())
# Verbs whose object is no thing of its own.
SET_PHRASES = frozenset(
    [("take", "place"), ("take", "part"), ("take", "care"), ("play", "role"), ("give", "birth"), ("lay", "siege")]
)
# What a quantity is asked for with, by the verb that governs it.
MEASURE_VERBS = {"weigh": "how much", "cost": "how much", "last": "how long", "take": "how long"}

# The noun of what an adjective or verb measures, for "what is the length of".
MEASURES = {
    "how long": "length", "how high": "height", "how tall": "height", "how wide": "width", "how deep": "depth",
    "how thick": "thickness", "how old": "age", "how heavy": "weight", "how large": "size",
}  # fmt: skip
VERB_MEASURES = {"weigh": "weight", "cost": "price", "last": "duration", "take": "duration"}
# Who does what a verb says, for "who was the founder of".
AGENTS = {
    "found": "founder", "establish": "founder", "design": "designer", "build": "builder", "construct": "builder",
    "write": "author", "compose": "composer", "discover": "discoverer", "invent": "inventor", "direct": "director",
    "paint": "painter", "own": "owner", "lead": "leader", "manage": "manager", "create": "creator", "edit": "editor",
}  # fmt: skip

# Verbs of one meaning in the same frame. Each list is symmetric; inflection is added.
SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("build", "construct", "erect"), ("found", "establish", "set up", "start"), ("buy", "purchase", "acquire"),
    ("begin", "start"), ("close", "shut"), ("destroy", "wreck"), ("employ", "have"), ("honor", "honour"),
    ("show", "display"), ("discover", "find"), ("locate", "situate"), ("make", "produce"), ("obtain", "get"),
    ("receive", "get"), ("link", "connect"), ("paint", "colour"), ("repair", "fix"), ("direct", "run", "lead"),
    ("manage", "run"), ("own", "possess"), ("carry", "transport"), ("abolish", "scrap"), ("reveal", "disclose"),
    ("strike", "hit"), ("happen", "occur", "take place"), ("supply", "provide"), ("defeat", "beat"),
    ("create", "make"), ("retire", "step down"), ("cancel", "call off"),
    ("stand", "be"), ("lie", "be located"),
)  # fmt: skip


# Little words inside names.
NAME_PARTICLES = frozenset("al da das de del der di dos du el la le van von".split())
# What gives something its name.
CALLING = frozenset("call dub name nickname title".split())
# What says that something is so at the time of writing.
# What follows "that" behind these is so; behind these others, also without "that", it is what somebody thinks.
ASSERTING = frozenset(
    """announce confirm demonstrate discover find learn mean note observe prove realise realize recognise recognize
    reveal show""".split()
)
CLAIMING = frozenset(
    """allege argue assume believe claim conclude consider decide doubt estimate expect fear feel guess hold hope
    imagine indicate insist predict propose recommend report say see seem state suggest suppose tell think""".split()
)
NOW = frozenset("now current currently present present-day today still".split())
# What only people do: an unknown name that does it is somebody's.
HUMAN_VERBS = frozenset(
    """abolish announce argue assassinate compose claim collect decide design die discover draw educate elect found
    graduate insist invent marry paint persuade propose recall resign retire reveal row run say sculpt study teach tell
    think train translate write""".split()
)


def synonyms(lemma: str) -> list[str]:
    """Verbs that can stand for a verb, in base form."""
    found: list[str] = []
    for group in SYNONYMS:
        if group[0] == lemma:
            found.extend(verb for verb in group[1:] if verb not in found)
    return found


def is_person_noun(lemma: str) -> bool:
    """Whether a noun says what somebody is."""
    lemma = lemma.lower()
    if lemma in PERSON_NOUNS or lemma in _NOT_PERSONS or len(lemma) <= 4:
        return lemma in PERSON_NOUNS
    return _PERSON_ENDING.search(lemma) is not None or _is_doer(lemma)


def _is_doer(lemma: str) -> bool:
    """Whether a noun in -er or -or, but not in -eer and -ator, is made from a verb or ends in one."""
    if not re.search(r"[^e]er$|(?<!at)or$", lemma):
        return False
    stem = lemma[:-2]
    stems = [stem[start:] for start in range(max(1, len(stem) - 3))]
    doubled = stem[:-1] if stem[-2:-1] == stem[-1:] else stem
    return any(may_be_verb(part) or may_be_verb(f"{part}e") for part in (*stems, doubled))


# Of these the past says who it was; who owns or leads something is another question.
_MADE = frozenset("found design build write compose discover invent paint create".split())


def made_by(noun: str) -> str:
    """The past tense of what a builder or founder did, or nothing."""
    from lemminflect import getInflection

    verb = next((verb for verb, agent in AGENTS.items() if agent == noun and verb in _MADE), "")
    return str(getInflection(verb, "VBD")[0]) if verb else ""


@cache
def may_be_verb(word: str) -> bool:
    """Whether a word is also a form of a verb."""
    from lemminflect import getAllLemmas

    return "VERB" in getAllLemmas(word)
