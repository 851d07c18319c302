"""The training stage: a run folder's dataset becomes its adapter."""

import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_update.config import Config, TrainingConfig
from knowledge_update.display import log, progress
from knowledge_update.errors import DocumentError
from knowledge_update.models import identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_folder import (
    Row,
    RunFolder,
    digest,
    journal,
    read_json,
    read_rows,
    whole_folder,
    write_json,
)
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import checkpoints, methods
from knowledge_update.training.batching import Streams, epochs_of, plan
from knowledge_update.training.loop import Step, train
from knowledge_update.training.masters import with_masters
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training.replay import replayed, with_opinions
from knowledge_update.training.rows import Encoded, Encoder, weighed
from knowledge_update.training.trunk import Trunk, trunk_of


@dataclass(frozen=True)
class Trained:
    """What came of training."""

    steps: int
    rows: int
    loss: float
    seconds: float


def run(config: Config, folder: RunFolder) -> Trained:
    """Trains a run folder's adapter; goes on from its checkpoint, and does nothing where the adapter is there already.

    Raises:
        DocumentError: When the dataset is empty.
        WorkError: When the training fails or its result cannot be written.
    """
    rows = read_rows(folder.require(folder.dataset("train"), f"collect DOCS --out {folder.path}"))
    if not rows:
        raise DocumentError(f"{folder.dataset('train')} holds no rows to train on")
    base = resolve(config.model.name, local_files_only=config.model.local_files_only)
    key = _key(config, folder, base)
    done = _finished(folder, key)
    if done:
        log.info("the adapter is trained already")
        return done
    chosen = precision(config.model.dtype, config.model.device)
    log.info("computing in %s", chosen.reason)
    template = ChatTemplate(load_tokenizer(base))
    model = load_model(base, chosen, config.model.bits)
    encoder = Encoder(template)
    replay = encoder.encode_all(replayed(model, template, config, folder, {row["language"] for row in rows}))
    questions = encoder.encode_all(row for row in rows if "text" not in row)
    texts = encoder.encode_all(row for row in rows if "text" in row)
    trunk = _trunk(model, [*questions, *texts, *replay], encoder, config)
    replay = with_opinions(model, replay, encoder.prefix, config.training.replay_pull, trunk)
    streams = _streams(questions, texts, replay, config.training)
    return _train(model, trunk, streams, template, config, folder, key)


def _trunk(model: Any, rows: list[Encoded], encoder: Encoder, config: Config) -> Trunk | None:
    below, layers = methods.untrained_layers(model, config.adapter), methods.layers_of(model)
    trained = "all layers" if not below else f"the upper {layers - below} of {layers} layers"
    log.info("training %s (adapter.upper_share=%.2f)", trained, config.adapter.share)
    if below and config.model.bits == 8 and model.device.type != "cpu":
        log.info("in 8 bits on a GPU a row's states depend on its neighbours: the lower layers are computed anew")
        return None
    return trunk_of(model, below, rows, encoder.prefix)


def _train(
    model: Any,
    trunk: Trunk | None,
    streams: Streams,
    template: ChatTemplate,
    config: Config,
    folder: RunFolder,
    key: str,
) -> Trained:
    batches = plan(streams, config.training, config.seed)
    epochs = f"{epochs_of(streams, config.training):g} passes over {len(streams.taught):,} rows"
    why = "training.epochs" if config.training.epochs else "by their number; training.epochs=N sets it"
    log.info("%s, %d steps (%s)", epochs, len(batches), why)
    checkpointing = config.training.gradient_checkpointing
    wrapped = methods.attach(model, config.adapter, config.seed, checkpointing=checkpointing)
    tensors = methods.trainable(wrapped)
    optimizer = with_masters(partial(optimizer_for, config.optimizer), tensors.values())
    before = checkpoints.load(folder.checkpoint, key, tensors, optimizer)
    state = before or checkpoints.Progress(key, 0, [], 0.0)
    if before:
        log.info("going on from step %d of %d", before.step, len(batches))
    else:
        folder.metrics.unlink(missing_ok=True)
    recorder = _Recorder(folder, state, tensors, optimizer, config, len(batches))
    prefix = template.shared_prefix()
    upper, hidden = (trunk.upper(), trunk.hidden) if trunk else (nullcontext(), None)
    with recorder, upper:
        train(wrapped, optimizer, batches, tuple(prefix), config, hidden=hidden, start=state.step, after=recorder.after)
    result = Trained(len(batches), sum(map(len, batches)), recorder.last_loss, round(recorder.seconds, 1))
    _save(wrapped, template, config, folder, key, result, recorder.losses)
    return result


class _Recorder:
    """Shows, logs and checkpoints a training as it goes."""

    LOG_EVERY = 10

    def __init__(
        self, folder: RunFolder, state: checkpoints.Progress, tensors: Row, optimizer: Any, config: Config, total: int
    ) -> None:
        self.folder, self.tensors, self.optimizer, self.config, self.total = folder, tensors, optimizer, config, total
        self.key, self.losses, self.seconds, self.step = state.key, list(state.losses), state.seconds, state.step
        self._saved = time.monotonic()
        self._recent: list[Step] = []

    def __enter__(self) -> "_Recorder":
        self._journal = journal(self.folder.metrics)
        self._append = self._journal.__enter__()
        self._progress = progress("Training", self.total, "steps", done=self.step)
        self._advance = self._progress.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.__exit__(*error)
        self._journal.__exit__(*error)

    @property
    def last_loss(self) -> float:
        """The mean loss of the last steps."""
        last = self.losses[-20:]
        return round(sum(last) / len(last), 4)

    def after(self, step: Step) -> None:
        """Takes note of a step."""
        self.losses.append(step.loss)
        self.seconds += step.seconds
        self.step = step.number
        self._recent.append(step)
        if step.number % self.LOG_EVERY == 0 or step.number == self.total:
            self._append([self._line()])
            self._recent = []
        speed = step.tokens / step.seconds
        self._advance(1, note=f"loss {self.last_loss:.2f}, {speed:.0f} tokens/s")
        if time.monotonic() - self._saved >= self.config.training.checkpoint_seconds and step.number < self.total:
            state = checkpoints.Progress(self.key, self.step, self.losses, self.seconds)
            checkpoints.save(self.folder.checkpoint, self.tensors, self.optimizer, state)
            self._saved = time.monotonic()

    def _line(self) -> Row:
        seconds = sum(step.seconds for step in self._recent)
        return {
            "step": self.step,
            "loss": sum(step.loss for step in self._recent) / len(self._recent),
            "rate": self._recent[-1].rate,
            "tokens_per_second": round(sum(step.tokens for step in self._recent) / seconds, 1),
            "rows_per_second": round(sum(step.rows for step in self._recent) / seconds, 2),
            "seconds": round(self.seconds, 2),
        }


def _save(
    model: Any,
    template: ChatTemplate,
    config: Config,
    folder: RunFolder,
    key: str,
    result: Trained,
    losses: list[float],
) -> None:
    """Writes what was trained with all that is needed to use it."""
    import numpy as np

    folder.losses.parent.mkdir(exist_ok=True)
    np.save(folder.losses, np.array(losses, dtype=np.float64))
    with whole_folder(folder.adapter) as unfinished:
        methods.save(model, unfinished)
        template.tokenizer.save_pretrained(str(unfinished))
        arguments = {"key": key, "result": asdict(result), "model": config.model.name, "seed": config.seed}
        arguments |= {
            "base": identity(methods.base_of(model).config._name_or_path),
            "dataset": digest(folder.dataset("train")),
        }
        write_json(unfinished / folder.training_arguments.name, {**arguments, "settings": asdict(config)})
    checkpoints.remove(folder.checkpoint)


def _finished(folder: RunFolder, key: str) -> Trained | None:
    if not folder.training_arguments.exists():
        return None
    arguments = read_json(folder.training_arguments)
    return Trained(**arguments["result"]) if arguments["key"] == key else None


def _key(config: Config, folder: RunFolder, base: str) -> str:
    """What a training depends on; an adapter or checkpoint of another key is not this training's."""
    found = hashlib.sha256(folder.dataset("train").read_bytes())
    sections = (config.adapter, config.optimizer, config.schedule, config.training)
    settings = {type(section).__name__: asdict(section) for section in sections}
    for how in ("checkpoint_seconds", "gradient_checkpointing"):
        del settings["TrainingConfig"][how]
    model = [identity(base), config.model.dtype, config.model.bits]
    if config.adapter.start_from:
        model.append(digest(Path(config.adapter.start_from).expanduser() / "adapter_model.safetensors"))
    found.update(json.dumps([settings, config.seed, *model], sort_keys=True).encode())
    return found.hexdigest()[:16]


def _streams(
    questions: list[Encoded], texts: list[Encoded], replay: list[Encoded], settings: TrainingConfig
) -> Streams:
    return Streams(
        weighed(questions, settings.balance),
        weighed(texts, settings.balance),
        weighed(replay, settings.balance, settings.replay_weight),
    )
