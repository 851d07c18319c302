"""The configuration: dataclasses own types, defaults and checks; `composition` makes one of what a user says."""

import re
from dataclasses import dataclass, field, fields
from typing import ClassVar
from urllib.parse import urlsplit

from knowledge_update.config_checks import check, check_span, listed
from knowledge_update.errors import ConfigError
from knowledge_update.training_config import (
    AdapterConfig,
    EngineConfig,
    OptimizerConfig,
    RowsConfig,
    ScheduleConfig,
    TrackerConfig,
    TrainingConfig,
)  # fmt: skip


def _check_address(url: str, section: str) -> None:
    """Refuses what is no address, and one with a secret in it: it would be kept in the run folder."""
    try:
        address = urlsplit(url)
    except ValueError:
        address = urlsplit("")
    if "@" in address.netloc or address.query:
        raise ConfigError(
            f"{section}.base_url holds a password or a key: put it into the environment ({section}.key_variable)"
        )
    known = address.scheme in ("http", "https") and bool(address.netloc)
    check(known, f"{section}.base_url", url, "an address such as http://127.0.0.1:8000/v1")


def _is_encoding(name: str) -> bool:
    """Whether Python knows a text encoding of this name; of `hex` and the like nothing is text."""
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


@dataclass
class ModelConfig:
    """The base model; `bits` is 4 or 8 where its weights are to be quantised."""

    name: str = "smollm2-135m"
    dtype: str = "auto"
    device: str = "auto"
    bits: int | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        dtypes = ("auto", "float32", "bfloat16", "float16")
        check(self.dtype in dtypes, "model.dtype", self.dtype, f"one of {', '.join(dtypes)}")
        check(bool(re.match(r"auto|cpu|cuda", self.device)), "model.device", self.device, "auto, cpu or cuda")
        check(self.bits in (None, 4, 8), "model.bits", self.bits, "4, 8, or null for weights as they are")


@dataclass
class ReaderConfig:
    """How documents are read and cut."""

    encoding: str | None = None
    limit: int | None = None
    pattern: str = "**/*"
    id_field: str = "doc_id"
    title_field: str = "title"
    text_field: str = "text"
    chunk_tokens: int = 256
    chunk_overlap_tokens: int = 0

    def __post_init__(self) -> None:
        check(self.chunk_tokens >= 16, "reader.chunk_tokens", self.chunk_tokens, "at least 16 tokens")
        overlap = self.chunk_overlap_tokens
        fits = 0 <= overlap <= self.chunk_tokens // 2
        check(fits, "reader.chunk_overlap_tokens", overlap, "from 0 to half of reader.chunk_tokens")
        known = self.encoding is None or _is_encoding(self.encoding)
        check(known, "reader.encoding", self.encoding, "an encoding's name, as gb18030, big5 or cp1252")
        check(self.limit is None or self.limit > 0, "reader.limit", self.limit, "a number of documents above 0")
        inside = bool(self.pattern) and not self.pattern.startswith(("/", "~")) and ".." not in self.pattern
        check(inside, "reader.pattern", self.pattern, "a glob of files inside the folder, as **/*.txt")


@dataclass
class ChatModelConfig:
    """A chat model: `api` behind addresses, `vllm` as a server of our own, `hf` in this process.

    `base_url` is one address or several, separated by commas; `key_variable` is the name under which the key stands in
    the environment, one for all addresses or as many as there are. Without `model`, `hf` and `vllm` take the model
    that is taught.
    """

    SECTION: ClassVar[str] = "model"
    KINDS: ClassVar[tuple[str, ...]] = ("api", "vllm", "hf")

    name: str = "api"
    model: str | None = None
    temperature: float = 0.7
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    structured: str = "auto"
    concurrency: int = 64
    rpm: float | None = None
    tpm: float | None = None
    timeout: float = 600.0
    patience: float = 300.0
    max_failures: int | None = None
    # Of a million tokens, in whatever currency.
    prompt_price: float | None = None
    answer_price: float | None = None
    # Of `hf`: tokens, asked and answered, that are held at once.
    batch_tokens: int = 32_768
    vllm_python: str | None = None
    vllm_arguments: str = ""
    vllm_timeout: float = 900.0

    def __post_init__(self) -> None:
        self._check(self.name in self.KINDS, "name", f"one of {', '.join(self.KINDS)}")
        self._check(self.temperature >= 0, "temperature", "0 or more")
        self._check(self.structured in ("auto", "on", "off"), "structured", "auto, on or off")
        self._check(self.concurrency >= 1, "concurrency", "at least 1")
        self._check(self.batch_tokens >= 1, "batch_tokens", "at least 1")
        for name in ("rpm", "tpm", "timeout", "patience", "vllm_timeout"):
            self._check(getattr(self, name) is None or getattr(self, name) > 0, name, "above 0")
        for name in ("max_failures", "prompt_price", "answer_price"):
            self._check(getattr(self, name) is None or getattr(self, name) >= 0, name, "0 or more")
        for address in self.addresses:
            _check_address(address, self.SECTION)
        fits = len(self.key_variables) in (0, 1, len(self.addresses))
        self._check(fits, "key_variable", "one name, or one for each address of base_url")
        if "--api-key" in self.vllm_arguments.replace("_", "-"):
            raise ConfigError(f"{self.SECTION}.vllm_arguments holds a key; the server is given one of its own")

    def _check(self, holds: bool, name: str, wanted: str) -> None:
        check(holds, f"{self.SECTION}.{name}", getattr(self, name), wanted)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of `base_url`."""
        return listed(self.base_url)

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The names of `key_variable`."""
        return listed(self.key_variable)

    @classmethod
    def how(cls) -> frozenset[str]:
        """Dotted keys of how fast and through whom, not of what comes of it."""
        what = {"name", "model", "temperature"}
        return frozenset(f"{cls.SECTION}.{part.name}" for part in fields(ChatModelConfig) if part.name not in what)


@dataclass
class WriterConfig(ChatModelConfig):
    """Who writes facts and questions, and how many: `rules`, or a chat model."""

    SECTION: ClassVar[str] = "writer"
    KINDS: ClassVar[tuple[str, ...]] = ("rules", *ChatModelConfig.KINDS)

    name: str = "rules"
    wordings_per_fact: int = 12
    roles_per_fact: int = 3
    rewrites_per_passage: int = 2
    # How often at most what is missing (facts of a sentence, questions about a fact) is asked for.
    rounds: int = 3
    validation_share: float = 0.05
    prompts: str | None = None
    # After so many seconds nothing is asked for that only adds variants.
    seconds: float | None = None
    # The address of a Ray cluster whose workers ask, or `local`.
    ray: str | None = None
    ray_workers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        leasts = {"wordings_per_fact": 2, "roles_per_fact": 0, "rewrites_per_passage": 0, "rounds": 1, "ray_workers": 1}
        for name, least in leasts.items():
            self._check(getattr(self, name) >= least, name, f"at least {least}")
        self._check(self.seconds is None or self.seconds >= 0, "seconds", "0 or more")
        self._check(self.ray is None or self.name == "api", "ray", "for writer=api alone: the cluster's workers ask it")
        self._check(0 <= self.validation_share < 1, "validation_share", "a share from 0 to below 1")


@dataclass
class JudgeConfig(ChatModelConfig):
    """Who judges answers: `rules`, or a chat model; `max_tokens` is the longest verdict, thoughts included."""

    SECTION: ClassVar[str] = "judge"
    KINDS: ClassVar[tuple[str, ...]] = ("rules", *ChatModelConfig.KINDS)

    name: str = "rules"
    temperature: float = 0.0
    max_tokens: int = 32
    # Of a request that gets no answer: how often it is made, and seconds before the second time, doubled each time.
    max_attempts: int = 5
    retry_delay: float = 2.0
    prompts: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(self.max_tokens >= 1, "max_tokens", "at least 1")
        self._check(self.max_attempts >= 1, "max_attempts", "at least 1")
        self._check(self.retry_delay >= 0, "retry_delay", "0 or more")


@dataclass
class InferenceConfig:
    """How answers are generated: greedily, in batches; in an exam they may be as long as what is right, and longer."""

    batch_rows: int = 96
    max_new_tokens: int = 20

    def __post_init__(self) -> None:
        check(self.batch_rows >= 1, "inference.batch_rows", self.batch_rows, "at least 1")
        check(self.max_new_tokens >= 1, "inference.max_new_tokens", self.max_new_tokens, "at least 1")


@dataclass
class EvaluationConfig:
    """What is measured: resamples of the bootstrap, whether general knowledge is asked, and how much of the rest.

    `trained`, `unanswerable`, `retrieval` and `updates` are how many questions are drawn: 0 for none, null for all. Of
    `retrieval` it is how many of each set that was not trained, since reading takes its time; `passages` is how many
    are searched for and put before each. `data_path` is a folder of answers without a run, `data_name_sft` and
    `data_name_base` the files of the two models.
    """

    resamples: int = 2000
    retention: bool = True
    trained: int | None = 24
    unanswerable: int | None = 24
    retrieval: int | None = 6
    # Of the facts that newer documents superseded, and of those that none says any more, each.
    updates: int | None = 40
    passages: int = 3
    data_path: str | None = None
    data_name_sft: str | None = None
    data_name_base: str | None = None

    def __post_init__(self) -> None:
        for name in ("resamples", "passages"):
            check(getattr(self, name) >= 1, f"evaluation.{name}", getattr(self, name), "at least 1")
        for name in ("trained", "unanswerable", "retrieval", "updates"):
            known = getattr(self, name) is None or getattr(self, name) >= 0
            check(known, f"evaluation.{name}", getattr(self, name), "a number of questions, 0 for none, null for all")


@dataclass
class Config:
    """All of it. `documents`, `questions`, `pairs_…` and `output_dir` are paths as the user gave them.

    `output_dir` is where a training without a run folder leaves what it makes, `pairs_…` where pairs are written too.
    `budget` is the time for the whole road; `time_left` what of it training may take, in seconds, set on the way.
    """

    documents: str | None = None
    questions: str | None = None
    pairs_jsonl: str | None = None
    pairs_json: str | None = None
    output_dir: str | None = None
    budget: str | None = None
    time_left: float | None = None
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    reader: ReaderConfig = field(default_factory=ReaderConfig)
    writer: WriterConfig = field(default_factory=WriterConfig)
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    rows: RowsConfig = field(default_factory=RowsConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        check_span(self.budget, "budget")
        whole = self.adapter.name == "lora" or self.model.bits is None
        check(whole, "model.bits", self.model.bits, "quantised weights cannot be trained themselves: say adapter=lora")
