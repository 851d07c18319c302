"""The configuration of training: what is trained, by what, on which rows, at what rate, for how long."""

from dataclasses import dataclass
from typing import Any, ClassVar

from knowledge_update.config_checks import check, check_own, check_span, listed

# What was measured to be best for the embedded model; for others `training.choices` leads on from there.
RANK, RATE = 64, 1.5e-3


@dataclass
class AdapterConfig:
    """What is trained: `lora`, an adapter on every linear map (α = 2 r, no dropout), or `full`, the model itself.

    Without `rank`, it follows from the number of facts and the size of the model. With LoRA it is the upper third of
    the layers, of the model itself all, unless `upper_share` says otherwise. `start_from` is the folder of an
    adapter that is trained on.
    """

    name: str = "lora"
    rank: int | None = None
    alpha: float | None = None
    dropout: float = 0.0
    targets: str = "all-linear"
    upper_share: float | None = None
    rslora: bool = False
    dora: bool = False
    start_from: str | None = None

    def __post_init__(self) -> None:
        check(self.name in ("lora", "full"), "adapter.name", self.name, "lora or full")
        check(self.r >= 1, "adapter.rank", self.rank, "at least 1")
        check(0 <= self.dropout < 1, "adapter.dropout", self.dropout, "a share from 0 to below 1")
        check(0 < self.share <= 1, "adapter.upper_share", self.upper_share, "a share above 0 and up to 1")
        whole = self.name == "lora" or self.start_from is None
        check(whole, "adapter.start_from", self.start_from, "for adapter=lora; a whole model is named by model=")

    @property
    def r(self) -> int:
        """The rank, the measured one where none is named."""
        return RANK if self.rank is None else self.rank

    @property
    def share(self) -> float:
        """The share of the layers, from the last one down, that is trained."""
        if self.upper_share is not None:
            return self.upper_share
        return 1 / 3 if self.name == "lora" else 1.0


@dataclass
class OptimizerConfig:
    """What makes steps of gradients; moments in `bits`, weights of 16 bits on an fp32 master.

    Without `learning_rate`, the highest rate follows from the size of the model.
    `betas`, `eps` are of all but sgd, `momentum` is sgd's, `phi_min` and `phi_max` bound φ in lamb's trust ratio.
    `_target_` names a user's own optimizer (`torch.optim.RAdam`) in the place of `name`; it takes `arguments`.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("adamw", "adamw_8bit", "lamb", "nvlamb", "sgd")

    name: str = "adamw"
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 3e-5
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
        check(self.name in self.NAMES, "optimizer.name", self.name, f"one of {', '.join(self.NAMES)}")
        check(
            self.learning_rate is None or self.learning_rate > 0,
            "optimizer.learning_rate",
            self.learning_rate,
            "above 0",
        )
        betas = list(self.betas)
        shares = len(betas) == 2 and all(0 <= beta < 1 for beta in betas)
        check(shares, "optimizer.betas", betas, "two shares from 0 to below 1")
        check(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "from 0 to below 1")
        for name in ("eps", "weight_decay", "phi_min"):
            check(getattr(self, name) >= 0, f"optimizer.{name}", getattr(self, name), "0 or more")
        check(self.max_grad_norm > 0, "optimizer.max_grad_norm", self.max_grad_norm, "above 0")
        over = self.phi_max is None or self.phi_max > self.phi_min
        check(over, "optimizer.phi_max", self.phi_max, "above optimizer.phi_min")
        check(self.bits in (8, 32), "optimizer.bits", self.bits, "8 or 32")
        check(self.bits == 32 or self.name != "sgd", "optimizer.bits", self.bits, "sgd has no 8-bit states here")
        fits = self.bits == 32 or self._target_ is None
        check(fits, "optimizer.bits", self.bits, "your own optimizer knows its bits itself")
        check_own("optimizer", self._target_, self.arguments)

    @property
    def rate(self) -> float:
        """The highest rate, the measured one where none is named."""
        return RATE if self.learning_rate is None else self.learning_rate

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
        check(self.name in self.NAMES, "schedule.name", self.name, f"one of {', '.join(self.NAMES)}")
        share = self.warmup is None or 0 <= self.warmup < 1
        check(share, "schedule.warmup", self.warmup, "a share of the steps from 0 to below 1")
        steps = self.warmup_steps is None or self.warmup_steps >= 0
        check(steps, "schedule.warmup_steps", self.warmup_steps, "0 or more steps")
        check(0 <= self.floor <= 1, "schedule.floor", self.floor, "a share of the highest rate from 0 to 1")
        check(self.power > 0, "schedule.power", self.power, "above 0")
        check_own("schedule", self._target_, self.arguments)


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
        known = set(listed(self.name)) <= set(self.NAMES) and bool(listed(self.name))
        check(known, "tracker.name", self.name, f"of {', '.join(self.NAMES)}")
        check(bool(self.project), "tracker.project", self.project, "a name")
        check_own("tracker", self._target_, self.arguments)

    @property
    def names(self) -> tuple[str, ...]:
        """The libraries of `name`."""
        return tuple(name for name in dict.fromkeys(listed(self.name)) if name != "none")


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
    # How many general prompts are replayed; without a number all there are, or as many as a budget has time for.
    replay_prompts: int | None = None
    replay_tokens: int = 16
    replay_weight: float = 2.0
    replay_pull: float = 4.0
    balance: float = 0.5
    # How much of an answer's label is what the untouched model says with the fact before the question.
    distil: float = 0.0
    # The share of the training at its end in which facts are trained that are not known then, in new wordings too.
    second_pass: float = 0.0
    # The share of rows that ask about things no document names, answered by saying that it is not known: without them
    # all that is asked in the manner of the documents is answered with something from them (benchmarks/LOG.md).
    unknown_share: float = 0.05
    # How far answers to general prompts may end from the untouched model's, KL divergence in nats a token: the adapter
    # is weakened until they are nearer.
    retention_limit: float | None = None
    # What layers put out is computed again for the gradient: less memory, about a quarter more time.
    gradient_checkpointing: bool = False
    checkpoint_seconds: float = 60.0
    log_steps: int = 10
    # The loss of rows that are not trained: `no`, after so many `steps`, or after each `epoch`.
    validate: str = "no"
    validation_steps: int | None = None
    validation_rows: int = 8
    # How often it is looked at on the way what is forgotten: general prompts that are not replayed, general texts.
    retention_points: int = 8
    # What is trained, kept as it is then, beside the final one; the best by validation is kept besides.
    save: str = "no"
    save_steps: int | None = None
    save_limit: int | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        check(self.epochs is None or self.epochs > 0, "training.epochs", self.epochs, "above 0")
        check(0 <= self.balance <= 1, "training.balance", self.balance, "from 0 (labels) to 1 (rows)")
        check(0 <= self.distil <= 1, "training.distil", self.distil, "a share from 0 to 1")
        check(0 <= self.second_pass < 1, "training.second_pass", self.second_pass, "a share from 0 to below 1")
        limit = self.retention_limit is None or self.retention_limit > 0
        check(limit, "training.retention_limit", self.retention_limit, "above 0")
        check(self.replay_weight > 0, "training.replay_weight", self.replay_weight, "above 0")
        check(self.replay_pull >= 0, "training.replay_pull", self.replay_pull, "0 or more")
        check(self.batch_tokens >= 1, "training.batch_tokens", self.batch_tokens, "at least 1")
        check(self.batch_rows is None or self.batch_rows >= 1, "training.batch_rows", self.batch_rows, "at least 1")
        check(self.retention_points >= 0, "training.retention_points", self.retention_points, "0 or more")
        counts = (
            "max_steps replay_prompts accumulation log_steps validation_steps validation_rows save_steps save_limit"
        )
        for name in counts.split():
            value = getattr(self, name)
            check(value is None or value >= 1, f"training.{name}", value, "at least 1")
        check_span(self.budget, "training.budget")
        for name in ("validate", "save"):
            check(getattr(self, name) in _WHEN, f"training.{name}", getattr(self, name), f"one of {', '.join(_WHEN)}")
        shares = {f"training.{name}": getattr(self, name) for name in ("text_share", "replay_share", "unknown_share")}
        for name, share in shares.items():
            check(0 <= share < 0.9, name, share, "a share from 0 to below 0.9")
        named = {name: share for name, share in shares.items() if share}
        check(sum(named.values()) < 0.9, " + ".join(named), sum(named.values()), "below 0.9 together, the rest asks")

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
        check(listed, "rows.files", self.files, "a path, or a list of them")
        check_own("rows", self._target_, self.arguments)
        check(self.max_seq_length >= 16, "rows.max_seq_length", self.max_seq_length, "at least 16 tokens")
        size = self.validation_size
        fits = size is None or 0 < size < 1 or (size >= 1 and size == int(size))
        check(fits, "rows.validation_size", size, "a number of rows, or a share above 0 and below 1")
        check(self.num_workers >= 0, "rows.num_workers", self.num_workers, "0 or more")
        check(self.prefetch_factor >= 1, "rows.prefetch_factor", self.prefetch_factor, "at least 1")

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
        check(self.name in names, "engine.name", self.name, f"one of {', '.join(names)}")
        check(self.processes is None or self.processes >= 1, "engine.processes", self.processes, "at least 1")
        fits = self.deepspeed is None or self.name in ("auto", "deepspeed")
        check(fits, "engine.deepspeed", self.deepspeed, f"not with engine.name={self.name}; engine.deepspeed=null")
