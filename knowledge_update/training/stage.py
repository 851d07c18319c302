"""The training stage: a run folder's dataset becomes its adapter."""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_update.config import Config, TrainingConfig
from knowledge_update.display import log
from knowledge_update.models import identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_folder import Row, RunFolder, digest, read_json, whole_folder, write_json
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import checkpoints, methods, optimizers, schedules, trackers
from knowledge_update.training.batching import Streams, endless, plan, steps_an_epoch
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.loop import train
from knowledge_update.training.pace import Clock, paced
from knowledge_update.training.recorder import Recorder
from knowledge_update.training.replay import replayed, with_opinions
from knowledge_update.training.rows import Encoded, Encoder, Weighed
from knowledge_update.training.snapshots import Snapshots
from knowledge_update.training.taught import Taught, taught
from knowledge_update.training.trunk import Trunk, trunk_of
from knowledge_update.training.validation import mean_loss

# What is written down on the way, not what is trained.
_HOW = (
    "checkpoint_seconds", "log_steps", "validate", "validation_steps", "validation_rows", "save", "save_steps",
    "save_limit", "gradient_checkpointing",
)  # fmt: skip


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
    began = time.monotonic()
    methods.check(config)
    optimizers.check(config.optimizer)
    schedules.check(config.schedule)
    trackers.check(config.tracker)
    base = resolve(config.model.name, local_files_only=config.model.local_files_only)
    template = ChatTemplate(load_tokenizer(base))
    encoder = Encoder(template)
    rows = taught(config, folder, encoder)
    key = _key(config, rows.digest, base)
    done = _finished(folder, key)
    if done:
        log.info("the adapter is trained already")
        return done
    clock = Clock(folder.clock, key, began)
    chosen = precision(config.model.dtype, config.model.device)
    log.info("computing in %s", chosen.reason)
    model = load_model(base, chosen, config.model.bits)
    replay = encoder.encode_all(replayed(model, template, config, folder, rows.languages))
    trunk = _trunk(model, (rows.questions, rows.texts, replay, rows.aside), encoder, config)
    replay = with_opinions(model, replay, encoder.prefix, config.training.replay_pull, trunk)
    streams = _streams(rows, replay, config.training)
    return _train(model, trunk, streams, rows, template, config, folder, key, clock)


def _trunk(model: Any, parts: Sequence[Sequence[Encoded]], encoder: Encoder, config: Config) -> Trunk | None:
    below, layers = methods.untrained_layers(model, config.adapter), methods.layers_of(model)
    trained = "all layers" if not below else f"the upper {layers - below} of {layers} layers"
    log.info("training %s (adapter.upper_share=%.2f)", trained, config.adapter.share)
    if below and config.model.bits == 8 and model.device.type != "cpu":
        log.info("in 8 bits on a GPU a row's states depend on its neighbours: the lower layers are computed anew")
        return None
    return trunk_of(model, below, parts, encoder.prefix)


def _train(
    model: Any,
    trunk: Trunk | None,
    streams: Streams,
    rows: Taught,
    template: ChatTemplate,
    config: Config,
    folder: RunFolder,
    key: str,
    clock: Clock,
) -> Trained:
    settings = config.training
    batches = plan(streams, settings, config.seed)
    an_epoch = steps_an_epoch(streams, settings, len(batches))
    wrapped = methods.attach(model, config.adapter, config.seed, checkpointing=settings.gradient_checkpointing)
    tensors = methods.trainable(wrapped)
    optimizer = optimizers.optimizer_for(config.optimizer, tensors.values())
    before = checkpoints.load(folder.checkpoint, key, tensors, optimizer)
    state = before or checkpoints.Progress(key, 0, [], 0.0)
    snapshots = Snapshots(folder.snapshots, settings.save_limit, lambda path: _write(wrapped, template, path))
    if not before:
        folder.metrics.unlink(missing_ok=True)
        snapshots.forget()
    pace = paced(batches, streams, config, clock, partial(_tried, wrapped, template, folder))
    log.info("%s", schedules.described(config.schedule, config.optimizer.learning_rate, len(batches)))
    if before:
        log.info("going on from step %d", before.step)
    hidden = trunk.hidden if trunk else None
    prefix = tuple(template.shared_prefix())
    engine = OneProcess(wrapped, list(tensors.values()), prefix, hidden)
    aside = Weighed(rows.aside, settings.balance)
    validate = partial(mean_loss, wrapped, aside, prefix, hidden, settings.validation_rows) if aside else None
    recorder = Recorder(folder, state, tensors, optimizer, settings, pace, clock, snapshots, validate, an_epoch)
    ordered = batches if math.isfinite(pace.steps) else endless(streams, settings, config.seed)
    tracked = trackers.opened(config.tracker, folder.path, _settings(config), state.step)
    with tracked as recorder.tracker, recorder, trunk.upper() if trunk else nullcontext():
        train(wrapped, optimizer, ordered, engine, pace, config, start=state.step, after=recorder.after)
    if settings.keep_best and snapshots.best.exists():
        methods.restore(wrapped, snapshots.best)
        log.info("the best by validation is kept, not the last (training.keep_best)")
    result = Trained(recorder.step, recorder.rows, recorder.last_loss, round(recorder.seconds, 1))
    _save(wrapped, template, config, folder, key, rows.digest, result, recorder.losses)
    clock.forget()
    return result


def _write(model: Any, template: ChatTemplate, path: Path) -> None:
    """Writes what is trained, with what is needed to use it."""
    methods.save(model, path)
    template.tokenizer.save_pretrained(str(path))


def _tried(model: Any, template: ChatTemplate, folder: RunFolder) -> None:
    """Writes what is trained where it is removed again: to see how long that takes, and that there is room for it."""
    with whole_folder(folder.trial) as partial:
        _write(model, template, partial)
    shutil.rmtree(folder.trial)


def _save(
    model: Any,
    template: ChatTemplate,
    config: Config,
    folder: RunFolder,
    key: str,
    dataset: str,
    result: Trained,
    losses: list[float],
) -> None:
    """Writes what was trained with all that is needed to use it."""
    import numpy as np

    folder.losses.parent.mkdir(exist_ok=True)
    np.save(folder.losses, np.array(losses, dtype=np.float64))
    with whole_folder(folder.adapter) as unfinished:
        _write(model, template, unfinished)
        arguments = {"key": key, "result": asdict(result), "model": config.model.name, "seed": config.seed}
        arguments |= {
            "base": identity(methods.base_of(model).config._name_or_path),
            "dataset": dataset,
        }
        write_json(unfinished / folder.training_arguments.name, {**arguments, "settings": asdict(config)})
    checkpoints.remove(folder.checkpoint)


def _finished(folder: RunFolder, key: str) -> Trained | None:
    if not folder.training_arguments.exists():
        return None
    arguments = read_json(folder.training_arguments)
    return Trained(**arguments["result"]) if arguments["key"] == key else None


def _key(config: Config, dataset: str, base: str) -> str:
    """What a training depends on; an adapter or checkpoint of another key is not this training's."""
    settings = _settings(config)
    for how in _HOW:
        del settings["training"][how]
    model = [dataset, identity(base), config.model.dtype, config.model.bits]
    if config.adapter.start_from:
        model.append(digest(Path(config.adapter.start_from).expanduser() / "adapter_model.safetensors"))
    return hashlib.sha256(json.dumps([settings, *model], sort_keys=True).encode()).hexdigest()[:16]


def _settings(config: Config) -> Row:
    """What says how a training goes."""
    sections = {name: asdict(getattr(config, name)) for name in ("adapter", "optimizer", "schedule", "training")}
    return {**sections, "seed": config.seed}


def _streams(rows: Taught, replay: list[Encoded], settings: TrainingConfig) -> Streams:
    return Streams(
        Weighed(rows.questions, settings.balance),
        Weighed(rows.texts, settings.balance),
        Weighed(replay, settings.balance, settings.replay_weight),
    )
