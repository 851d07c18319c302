"""The training stage: a run folder's dataset becomes its adapter."""

import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from knowledge_update.config import Config, TrainingConfig
from knowledge_update.display import log, progress
from knowledge_update.errors import DocumentError, WorkError
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
from knowledge_update.training import adapters, checkpoints, optimizers, schedules, trackers
from knowledge_update.training.batching import Streams, epochs_of, plan
from knowledge_update.training.loop import Step, train
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
    optimizers.check(config.optimizer)
    trackers.check(config.tracker)
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
    model = load_model(base, chosen)
    encoder = Encoder(template)
    replay = encoder.encode_all(replayed(model, template, config, folder, {row["language"] for row in rows}))
    questions = encoder.encode_all(row for row in rows if "text" not in row)
    texts = encoder.encode_all(row for row in rows if "text" in row)
    trunk = _trunk(model, [*questions, *texts, *replay], encoder, config)
    replay = with_opinions(model, replay, encoder.prefix, config.training.replay_pull, trunk)
    streams = _streams(questions, texts, replay, config.training)
    return _train(model, trunk, streams, template, config, folder, key)


def _trunk(model: Any, rows: list[Encoded], encoder: Encoder, config: Config) -> Trunk | None:
    below, layers = adapters.untrained_layers(model, config.adapter), model.config.num_hidden_layers
    trained = "all layers" if not below else f"the upper {layers - below} of {layers} layers"
    log.info("training %s (adapter.upper_share=%.2f)", trained, config.adapter.upper_share)
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
    log.info("%s", schedules.described(config.schedule, config.optimizer.learning_rate, len(batches)))
    wrapped = adapters.attach(model, config.adapter, config.seed)
    tensors = adapters.trainable(wrapped)
    optimizer = optimizers.optimizer_for(config.optimizer, tensors.values())
    before = checkpoints.load(folder.checkpoint, key, tensors, optimizer)
    state = before or checkpoints.Progress(key, 0, [], 0.0)
    if before:
        log.info("going on from step %d of %d", before.step, len(batches))
    else:
        folder.metrics.unlink(missing_ok=True)
    recorder = _Recorder(folder, state, tensors, optimizer, config, len(batches))
    prefix = template.shared_prefix()
    upper, hidden = (trunk.upper(), trunk.hidden) if trunk else (nullcontext(), None)
    tracked = trackers.opened(config.tracker, folder.path, _settings(config), state.step)
    with tracked as recorder.tracker, recorder, upper:
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
        self.tracker: trackers.Tracker = trackers.NONE

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
            line = self._line()
            self._append([line])
            self.tracker.log(step.number, line)
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
    """Writes the adapter with all that is needed to use it, and checks that what was written is what was trained."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    folder.losses.parent.mkdir(exist_ok=True)
    np.save(folder.losses, np.array(losses, dtype=np.float64))
    with whole_folder(folder.adapter) as partial:
        model.save_pretrained(str(partial))
        template.tokenizer.save_pretrained(str(partial))
        arguments = {"key": key, "result": asdict(result), "model": config.model.name, "seed": config.seed}
        arguments["dataset"] = digest(folder.dataset("train"))
        write_json(partial / folder.training_arguments.name, {**arguments, "settings": asdict(config)})
        written = load_file(partial / "adapter_model.safetensors")
        for name, tensor in adapters.trainable(model).items():
            stored = written.get(name.replace(".default.", "."))
            if stored is None or not torch.equal(stored, tensor.detach().cpu()):
                raise WorkError(f"the saved adapter differs from the trained one in {name}")
    checkpoints.remove(folder.checkpoint)


def _finished(folder: RunFolder, key: str) -> Trained | None:
    if not folder.training_arguments.exists():
        return None
    arguments = read_json(folder.training_arguments)
    return Trained(**arguments["result"]) if arguments["key"] == key else None


def _key(config: Config, folder: RunFolder, base: str) -> str:
    """What a training depends on; an adapter or checkpoint of another key is not this training's."""
    digest = hashlib.sha256(folder.dataset("train").read_bytes())
    settings = _settings(config)
    del settings["training"]["checkpoint_seconds"]
    digest.update(json.dumps([settings, identity(base), config.model.dtype], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _settings(config: Config) -> Row:
    """What says how a training goes."""
    sections = {name: asdict(getattr(config, name)) for name in ("adapter", "optimizer", "schedule", "training")}
    return {**sections, "seed": config.seed}


def _streams(
    questions: list[Encoded], texts: list[Encoded], replay: list[Encoded], settings: TrainingConfig
) -> Streams:
    return Streams(
        weighed(questions, settings.balance),
        weighed(texts, settings.balance),
        weighed(replay, settings.balance, settings.replay_weight),
    )
