"""The configuration: dataclasses own types, defaults and checks; `composition` makes one of what a user says."""

import re
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar
from urllib.parse import urlsplit

from knowledge_update.durations import seconds_of
from knowledge_update.errors import ConfigError


def _check(holds: bool, key: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{key}={value}: {wanted}")


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
    _check(known, f"{section}.base_url", url, "an address such as http://127.0.0.1:8000/v1")


def _check_span(text: str | None, key: str) -> None:
    try:
        seconds = seconds_of(text) if text is not None else 1.0
    except ValueError as error:
        raise ConfigError(f"{key}={text}: {error}") from error
    _check(seconds > 0, key, text, "more than no time")


def _check_own(section: str, target: str | None, arguments: Any) -> None:
    """Checks the dotted path of a user's own part, and what it is to be given."""
    path = target is None or bool(re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target))
    _check(path, f"{section}._target_", target, "a dotted path, as my_module.my_name")
    named = arguments is None or (isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments))
    _check(named, f"{section}.arguments", arguments, "names with their values, as {size: 3}")
    _check(target is not None or not arguments, f"{section}.arguments", arguments, f"for {section}._target_ alone")


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
        _check(self.dtype in dtypes, "model.dtype", self.dtype, f"one of {', '.join(dtypes)}")
        _check(bool(re.match(r"auto|cpu|cuda", self.device)), "model.device", self.device, "auto, cpu or cuda")
        _check(self.bits in (None, 4, 8), "model.bits", self.bits, "4, 8, or null for weights as they are")


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
        _check(self.chunk_tokens >= 16, "reader.chunk_tokens", self.chunk_tokens, "at least 16 tokens")
        overlap = self.chunk_overlap_tokens
        fits = 0 <= overlap <= self.chunk_tokens // 2
        _check(fits, "reader.chunk_overlap_tokens", overlap, "from 0 to half of reader.chunk_tokens")
        known = self.encoding is None or _is_encoding(self.encoding)
        _check(known, "reader.encoding", self.encoding, "an encoding's name, as gb18030, big5 or cp1252")
        _check(self.limit is None or self.limit > 0, "reader.limit", self.limit, "a number of documents above 0")
        inside = bool(self.pattern) and not self.pattern.startswith(("/", "~")) and ".." not in self.pattern
        _check(inside, "reader.pattern", self.pattern, "a glob of files inside the folder, as **/*.txt")


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
        _check(holds, f"{self.SECTION}.{name}", getattr(self, name), wanted)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of `base_url`."""
        return _listed(self.base_url)

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The names of `key_variable`."""
        return _listed(self.key_variable)

    @classmethod
    def how(cls) -> frozenset[str]:
        """Dotted keys of how fast and through whom, not of what comes of it."""
        what = {"name", "model", "temperature"}
        return frozenset(f"{cls.SECTION}.{part.name}" for part in fields(ChatModelConfig) if part.name not in what)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


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
class AdapterConfig:
    """What is trained: `lora`, an adapter on every linear map (α = 2 r, no dropout), or `full`, the model itself.

    With LoRA it is the upper third of the layers, of the model itself all, unless `upper_share` says otherwise.
    `start_from` is the folder of an adapter that is trained on.
    """

    name: str = "lora"
    rank: int = 64
    alpha: int | None = None
    dropout: float = 0.0
    targets: str = "all-linear"
    upper_share: float | None = None
    rslora: bool = False
    dora: bool = False
    start_from: str | None = None

    def __post_init__(self) -> None:
        _check(self.name in ("lora", "full"), "adapter.name", self.name, "lora or full")
        _check(self.rank >= 1, "adapter.rank", self.rank, "at least 1")
        _check(0 <= self.dropout < 1, "adapter.dropout", self.dropout, "a share from 0 to below 1")
        _check(0 < self.share <= 1, "adapter.upper_share", self.upper_share, "a share above 0 and up to 1")
        whole = self.name == "lora" or self.start_from is None
        _check(whole, "adapter.start_from", self.start_from, "for adapter=lora; a whole model is named by model=")

    @property
    def share(self) -> float:
        """The share of the layers, from the last one down, that is trained."""
        if self.upper_share is not None:
            return self.upper_share
        return 1 / 3 if self.name == "lora" else 1.0


@dataclass
class OptimizerConfig:
    """What makes steps of gradients; moments in `bits`, weights of 16 bits on an fp32 master.

    `betas`, `eps` are of all but sgd, `momentum` is sgd's, `phi_min` and `phi_max` bound φ in lamb's trust ratio.
    `_target_` names a user's own optimizer (`torch.optim.RAdam`) in the place of `name`; it takes `arguments`.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("adamw", "adamw_8bit", "lamb", "nvlamb", "sgd")

    name: str = "adamw"
    learning_rate: float = 1.5e-3
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-5
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    bits: int = 32
    momentum: float = 0.9
    phi_min: float = 0.0
    phi_max: float | None = None
    _target_: str | None = None
    arguments: Any = None

    def __post_init__(self) -> None:
        self.name = self.name.lower()
        _check(self.name in self.NAMES, "optimizer.name", self.name, f"one of {', '.join(self.NAMES)}")
        _check(self.learning_rate > 0, "optimizer.learning_rate", self.learning_rate, "above 0")
        betas = list(self.betas)
        shares = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        _check(shares, "optimizer.betas", betas, "two shares from 0 to below 1")
        _check(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "from 0 to below 1")
        for name in ("eps", "weight_decay", "phi_min"):
            _check(getattr(self, name) >= 0, f"optimizer.{name}", getattr(self, name), "0 or more")
        _check(self.max_grad_norm > 0, "optimizer.max_grad_norm", self.max_grad_norm, "above 0")
        over = self.phi_max is None or self.phi_max > self.phi_min
        _check(over, "optimizer.phi_max", self.phi_max, "above optimizer.phi_min")
        _check(self.bits in (8, 32), "optimizer.bits", self.bits, "8 or 32")
        _check(self.bits == 32 or self.name != "sgd", "optimizer.bits", self.bits, "sgd has no 8-bit states here")
        fits = self.bits == 32 or self._target_ is None
        _check(fits, "optimizer.bits", self.bits, "your own optimizer knows its bits itself")
        _check_own("optimizer", self._target_, self.arguments)

    @property
    def state_bits(self) -> int:
        """Bits of a moment."""
        return 8 if self.name == "adamw_8bit" and self._target_ is None else self.bits


@dataclass
class ScheduleConfig:
    """The rate over the steps: linear warm-up, then the named decay to the floor, a share of the highest rate.

    `constant` has no warm-up, `warmup` is one and stays constant after it. The warm-up is `warmup_steps`, or the share
    `warmup` of all steps, or 5 % of them. `_target_` names a user's own function of the share that is done, of all
    steps, and of `arguments`, in the place of `name`.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("cosine", "linear", "constant", "poly", "warmup")

    name: str = "cosine"
    warmup: float | None = None
    warmup_steps: int | None = None
    floor: float = 0.02
    power: float = 1.0
    _target_: str | None = None
    arguments: Any = None

    def __post_init__(self) -> None:
        self.name = self.name.lower()
        _check(self.name in self.NAMES, "schedule.name", self.name, f"one of {', '.join(self.NAMES)}")
        share = self.warmup is None or 0 <= self.warmup < 1
        _check(share, "schedule.warmup", self.warmup, "a share of the steps from 0 to below 1")
        steps = self.warmup_steps is None or self.warmup_steps >= 0
        _check(steps, "schedule.warmup_steps", self.warmup_steps, "0 or more steps")
        _check(0 <= self.floor <= 1, "schedule.floor", self.floor, "a share of the highest rate from 0 to 1")
        _check(self.power > 0, "schedule.power", self.power, "above 0")
        _check_own("schedule", self._target_, self.arguments)


@dataclass
class TrackerConfig:
    """Who else is told how a training goes: `none`, or `tensorboard`, `wandb`, `trackio`, several by commas.

    `run` names the run, by the run folder where it is not given; `folder` is where they write, the run folder's
    `trackers/` where it is not given. `_target_` names a user's own tracker, beside those of `name`.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("none", "tensorboard", "wandb", "trackio")

    name: str = "none"
    project: str = "knowledge-update"
    run: str | None = None
    folder: str | None = None
    _target_: str | None = None
    arguments: Any = None

    def __post_init__(self) -> None:
        self.name = self.name.lower()
        known = set(_listed(self.name)) <= set(self.NAMES) and bool(_listed(self.name))
        _check(known, "tracker.name", self.name, f"of {', '.join(self.NAMES)}")
        _check(bool(self.project), "tracker.project", self.project, "a name")
        _check_own("tracker", self._target_, self.arguments)

    @property
    def names(self) -> tuple[str, ...]:
        """The libraries of `name`."""
        return tuple(name for name in dict.fromkeys(_listed(self.name)) if name != "none")


# When something is done again and again; and after how many steps it is, where nobody says.
_WHEN, _SAVE_STEPS = ("no", "steps", "epoch"), 500


@dataclass
class TrainingConfig:
    """How long and on what: rows come from facts as text, questions as chat, and replayed general prompts.

    Without `epochs`, their number follows from how many questions there are; a `budget` (20m, 1h30m, 1d) is filled
    whatever it is, unless they are given. A step's batch is `accumulation` times `batch_rows`, or `batch_tokens`.
    """

    epochs: float | None = None
    max_steps: int | None = None
    budget: str | None = None
    batch_tokens: int = 240
    batch_rows: int | None = None
    accumulation: int = 1
    text_share: float = 0.12
    replay_share: float = 0.25
    replay_tokens: int = 16
    replay_weight: float = 2.0
    replay_pull: float = 1.5
    balance: float = 0.5
    # What layers put out is computed again for the gradient: less memory, about a quarter more time.
    gradient_checkpointing: bool = False
    checkpoint_seconds: float = 60.0
    log_steps: int = 10
    # The loss of rows that are not trained: `no`, after so many `steps`, or after each `epoch`.
    validate: str = "no"
    validation_steps: int | None = None
    validation_rows: int = 8
    # What is trained, kept as it is then, beside the final one; the best by validation is kept besides.
    save: str = "no"
    save_steps: int | None = None
    save_limit: int | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        _check(self.epochs is None or self.epochs > 0, "training.epochs", self.epochs, "above 0")
        _check(0 <= self.balance <= 1, "training.balance", self.balance, "from 0 (labels) to 1 (rows)")
        _check(self.replay_weight > 0, "training.replay_weight", self.replay_weight, "above 0")
        _check(self.replay_pull >= 0, "training.replay_pull", self.replay_pull, "0 or more")
        _check(self.batch_tokens >= 1, "training.batch_tokens", self.batch_tokens, "at least 1")
        _check(self.batch_rows is None or self.batch_rows >= 1, "training.batch_rows", self.batch_rows, "at least 1")
        counts = "max_steps accumulation log_steps validation_steps validation_rows save_steps save_limit"
        for name in counts.split():
            value = getattr(self, name)
            _check(value is None or value >= 1, f"training.{name}", value, "at least 1")
        _check_span(self.budget, "training.budget")
        for name in ("validate", "save"):
            _check(getattr(self, name) in _WHEN, f"training.{name}", getattr(self, name), f"one of {', '.join(_WHEN)}")
        for name in ("text_share", "replay_share"):
            share = getattr(self, name)
            _check(0 <= share < 0.9, f"training.{name}", share, "a share from 0 to below 0.9")
        both = self.text_share + self.replay_share
        _check(both < 0.9, "training.text_share + training.replay_share", both, "below 0.9 together, the rest asks")

    def validated_every(self, epoch: int) -> int | None:
        """After how many steps rows aside are asked, where an epoch has so many; never where it is not wanted."""
        return _steps(self.validate, self.validation_steps, epoch, self.log_steps)

    def saved_every(self, epoch: int) -> int | None:
        """After how many steps what is trained is kept, where an epoch has so many; never where it is not wanted."""
        return _steps(self.save, self.save_steps, epoch, _SAVE_STEPS)


def _steps(when: str, given: int | None, epoch: int, usual: int) -> int | None:
    if when == "epoch":
        return epoch
    return given or (usual if when == "steps" else None)


@dataclass
class RowsConfig:
    """Rows from files that people wrote, in place of what was collected, and how they are read.

    `files` are paths, globs or folders: a list, or one text with commas between; `:2` behind one takes its rows twice
    an epoch. `_target_` is a user's own function that yields rows; it takes `arguments`. A `validation_size` of 1 or
    more is a number of rows, below 1 a share.
    """

    files: Any = None
    instruction_tuning_data_dir: str | None = None
    pretraining_data_dir: str | None = None
    _target_: str | None = None
    arguments: Any = None
    skip_bad_rows: bool = False
    max_seq_length: int = 2048
    validation: bool | None = None
    validation_size: float | None = None
    lazy_preprocess: bool = False
    num_workers: int = 2
    prefetch_factor: int = 2

    def __post_init__(self) -> None:
        named = [self.files] if isinstance(self.files, str) else self.files
        listed = named is None or (isinstance(named, list) and all(isinstance(name, str) and name for name in named))
        _check(listed, "rows.files", self.files, "a path, or a list of them")
        _check_own("rows", self._target_, self.arguments)
        _check(self.max_seq_length >= 16, "rows.max_seq_length", self.max_seq_length, "at least 16 tokens")
        size = self.validation_size
        fits = size is None or 0 < size < 1 or (size >= 1 and size == int(size))
        _check(fits, "rows.validation_size", size, "a number of rows, or a share above 0 and below 1")
        _check(self.num_workers >= 0, "rows.num_workers", self.num_workers, "0 or more")
        _check(self.prefetch_factor >= 1, "rows.prefetch_factor", self.prefetch_factor, "at least 1")

    @property
    def given(self) -> bool:
        """Whether rows are named here at all."""
        return any((self.files, self.instruction_tuning_data_dir, self.pretraining_data_dir, self._target_))


@dataclass
class EngineConfig:
    """Where it is trained: in one process, or in several that share the work (`ddp`) or the model too.

    `auto` is one process, and `ddp` where torchrun or accelerate started several; `deepspeed` where a configuration of
    its is named: `zero2`, `zero3` or a file. `processes` of this machine are started by us.
    """

    name: str = "auto"
    processes: int | None = None
    deepspeed: str | None = None

    def __post_init__(self) -> None:
        names = ("auto", "one_process", "ddp", "fsdp2", "deepspeed")
        _check(self.name in names, "engine.name", self.name, f"one of {', '.join(names)}")
        _check(self.processes is None or self.processes >= 1, "engine.processes", self.processes, "at least 1")
        fits = self.deepspeed is None or self.name in ("auto", "deepspeed")
        _check(fits, "engine.deepspeed", self.deepspeed, f"not with engine.name={self.name}; engine.deepspeed=null")


@dataclass
class InferenceConfig:
    """How answers are generated: greedily, in batches."""

    batch_rows: int = 96
    max_new_tokens: int = 20

    def __post_init__(self) -> None:
        _check(self.batch_rows >= 1, "inference.batch_rows", self.batch_rows, "at least 1")
        _check(self.max_new_tokens >= 1, "inference.max_new_tokens", self.max_new_tokens, "at least 1")


@dataclass
class EvaluationConfig:
    """What is measured: resamples of the bootstrap, and whether general knowledge is asked."""

    resamples: int = 2000
    retention: bool = True

    def __post_init__(self) -> None:
        _check(self.resamples >= 1, "evaluation.resamples", self.resamples, "at least 1")


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

    def __post_init__(self) -> None:
        _check_span(self.budget, "budget")
        whole = self.adapter.name == "lora" or self.model.bits is None
        _check(whole, "model.bits", self.model.bits, "quantised weights cannot be trained themselves: say adapter=lora")
