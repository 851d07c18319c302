"""The training stage: a run folder's dataset becomes its adapter."""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_update import processes
from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.durations import seconds_of
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.ledger import Drop, Ledger
from knowledge_update.models import Precision, configuration, identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_folder import Row, RunFolder, digest, read_json
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import (
    checkpoints,
    choices,
    methods,
    optimizers,
    retention,
    schedules,
    strength,
    trackers,
)
from knowledge_update.training.batching import endless, plan, steps_an_epoch
from knowledge_update.training.distillation import distilled
from knowledge_update.training.engines import Group, check, chosen, engine_for, joined, shards
from knowledge_update.training.loop import train
from knowledge_update.training.opinions import with_opinions
from knowledge_update.training.pace import Clock, paced
from knowledge_update.training.recorder import Recorder
from knowledge_update.training.replay import replayed
from knowledge_update.training.retention import Retention, Watched
from knowledge_update.training.rows import Encoded, Encoder, Weighed
from knowledge_update.training.saving import Saver
from knowledge_update.training.second_pass import SecondPass, parted
from knowledge_update.training.snapshots import Snapshots
from knowledge_update.training.speed import Speedometer, matmul_peak, work_of
from knowledge_update.training.taught import Taught, documents_of, streams_of, taught
from knowledge_update.training.trunk import Trunk, trunk_of
from knowledge_update.training_config import TrainingConfig

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


@dataclass(frozen=True)
class Prepared:
    """What a training begins with: the model, the rows, what is known of them, and all that was chosen by size."""

    config: Config
    key: str
    clock: Clock
    model: Any
    template: ChatTemplate
    trunk: Trunk | None
    replay: list[Encoded]
    watched: Watched
    rows: Taught


def run(config: Config, folder: RunFolder) -> Trained:
    """Trains a run folder's adapter; goes on from its checkpoint, and does nothing where the adapter is there already.

    Raises:
        DocumentError: When the dataset is empty.
        WorkError: When the training fails or its result cannot be written.
    """
    began = time.monotonic() - processes.waited()
    methods.check(config)
    optimizers.check(config.optimizer)
    strength.check(config)
    schedules.check(config.schedule)
    trackers.check(config.tracker)
    with joined(always=shards(chosen(config.engine))) as group:
        return run_in(group, group.shared(config), folder, began)


def run_in(group: Group, config: Config, folder: RunFolder, began: float) -> Trained:
    """The same in processes that have joined; `began` is when the stage did, by the monotonic clock."""
    # What the machine computes fastest is measured: the processes must not come to different ends.
    given = None if chosen(config.engine) == "one_process" else group.shared(_precision(config))
    config = _for_all(config, group.count)
    ready = _prepared(config, folder, began, given, group)
    return ready if isinstance(ready, Trained) else _train(ready, ready.config, folder, group)


def finished(folder: RunFolder) -> Trained:
    """What other processes have trained.

    Raises:
        WorkError: When they left nothing.
    """
    if not folder.training_arguments.exists():
        raise WorkError(f"the training left nothing in {folder.adapter}")
    return Trained(**read_json(folder.training_arguments)["result"])


def _for_all(config: Config, count: int) -> Config:
    """The configuration of several processes' training: `batch_rows` are one process's, as in the field."""
    rows = config.training.batch_rows
    return replace(config, training=replace(config.training, batch_rows=rows and rows * count))


def _prepared(
    config: Config, folder: RunFolder, began: float, given: Precision | None, group: Group
) -> Prepared | Trained:
    """Reads rows and model, and what the untouched model makes of the rows."""
    base = group.in_turn(lambda: resolve(config.model.name, local_files_only=config.model.local_files_only))
    template = ChatTemplate(load_tokenizer(base))
    encoder = Encoder(template)
    rows = group.in_turn(lambda: taught(config, folder, encoder))
    _has_facts(config.training, rows)
    size = _size(config, base, rows)
    config, reasons = choices.chosen(config, size)
    if given:
        check(config, group.count, str(given.dtype)[6:])
    key = _key(config, rows, base)
    done = _finished(folder, key)
    if done:
        log.info("the adapter is trained already")
        return done
    for reason in filter(None, [*reasons, choices.too_many(size, config.adapter)]):
        log.info("%s", reason)
    clock = Clock(folder.clock, key, began)
    fastest = given or _precision(config)
    log.info("computing in %s", fastest.reason)
    model = load_model(base, fastest, config.model.bits)
    answered = group.in_turn(lambda: replayed(model, template, config, folder, rows.languages))
    replay = encoder.encode_all(answered)
    if config.training.retention_limit is not None and not replay:
        raise WorkError("training.retention_limit: the untouched model has answered no general prompt to tell it by")
    points = config.training.retention_points
    replay, watched = retention.apart(replay, rows.languages, encoder, points)
    parts = (rows.questions, rows.texts, replay, rows.unknown, rows.aside, watched.rows)
    trunk = _trunk(model, parts, encoder, config)
    watched = watched.judged(model, encoder.prefix, trunk)
    replay = with_opinions(model, replay, encoder.prefix, config.training.replay_pull, trunk)
    if config.training.distil:
        rows = distilled(model, rows, folder, encoder, config.training.distil)
    return Prepared(config, key, clock, model, template, trunk, replay, watched, rows)


def _has_facts(settings: TrainingConfig, rows: Taught) -> None:
    """Refuses what needs to know the facts that rows are about, where that is not known.

    Raises:
        ConfigError: When so.
    """
    for name in ("distil", "second_pass"):
        value = getattr(settings, name)
        if value and not rows.facts:
            raise ConfigError(
                f"training.{name}={value:g} needs the facts that rows are about, rows of files tell none: "
                f"say training.{name}=0"
            )


def _size(config: Config, base: str, rows: Taught) -> choices.Size:
    """What choices depend on."""
    facts = choices.facts_of(len(rows.facts), len(rows.questions or rows.texts))
    return choices.size_of(configuration(base), config.adapter, facts, rows.tokens)


def _precision(config: Config) -> Precision:
    return precision(config.model.dtype, config.model.device)


def _trunk(model: Any, parts: Sequence[Sequence[Encoded]], encoder: Encoder, config: Config) -> Trunk | None:
    below, layers = methods.untrained_layers(model, config.adapter), methods.layers_of(model)
    trained = "all layers" if not below else f"the upper {layers - below} of {layers} layers"
    log.info("training %s (adapter.upper_share=%.2f)", trained, config.adapter.share)
    if below and config.model.bits == 8 and model.device.type != "cpu":
        log.info("in 8 bits on a GPU a row's states depend on its neighbours: the lower layers are computed anew")
        return None
    if shards(chosen(config.engine)):
        # Its layers are gathered as they stand: none are computed apart.
        return None
    return trunk_of(model, below, parts, encoder.prefix)


def _train(ready: Prepared, config: Config, folder: RunFolder, group: Group) -> Trained:
    settings, clock = config.training, ready.clock
    wrapped = methods.attach(ready.model, config.adapter, config.seed, checkpointing=settings.gradient_checkpointing)
    meter = _meter(wrapped, ready.trunk, settings, group)
    rows = _in_time(ready, meter, folder, group)
    streams = streams_of(rows, ready.replay, settings)
    batches = plan(streams, settings, config.seed)
    an_epoch = steps_an_epoch(streams, settings, len(batches))
    hidden = ready.trunk.hidden if ready.trunk else None
    engine = engine_for(config, wrapped, tuple(ready.template.shared_prefix()), hidden, group)
    optimizer = engine.drives(config.optimizer)
    saver = Saver(wrapped, engine, ready.template, ready.trunk)
    before = checkpoints.load(folder.checkpoint, ready.key)
    snapshots = Snapshots(folder.snapshots, settings.save_limit, saver.write)
    if before:
        engine.restore(before[0])
    else:
        snapshots.forget()
        if processes.first():
            folder.metrics.unlink(missing_ok=True)
    state = before[1] if before else checkpoints.Progress(ready.key, 0, [], 0.0)
    pace = paced(batches, streams, config, clock, partial(_tried, saver, folder, ready.replay, settings))
    length = len(batches) if math.isinf(pace.steps) else round(pace.steps)
    log.info("%s", schedules.described(config.schedule, config.optimizer.rate, length))
    if before:
        log.info("going on from step %d", state.step)
    aside = Weighed(ready.rows.aside, settings.balance)
    validate = partial(engine.loss, aside, settings.validation_rows) if aside else None
    forgotten = Retention(ready.watched, engine, settings.retention_points, settings.validation_rows)
    recorder = Recorder(folder, state, engine, settings, pace, clock, snapshots, validate, an_epoch, meter, forgotten)
    ordered: Iterable[Sequence[Encoded]] = batches
    if settings.second_pass:
        drawn, noted = partial(streams_of, replay=ready.replay, settings=settings), folder.second_pass
        twice = SecondPass(parted(rows), drawn, settings, config.seed, engine, pace, noted, ready.key)
        ordered = twice.batches(state.step)
    elif math.isinf(pace.steps):
        ordered = endless(streams, settings, config.seed)
    tracked = trackers.opened(config.tracker, folder.path, _settings(config), state.step)
    with tracked as recorder.tracker, recorder, ready.trunk.upper() if ready.trunk else nullcontext():
        train(
            wrapped, optimizer, ordered, engine, pace, config, start=state.step, before=recorder.before,
            after=recorder.after,
        )  # fmt: skip
        if settings.retention_limit is not None:
            at_once = settings.validation_rows
            strength.lowered(wrapped, engine, ready.replay, aside, settings.retention_limit, at_once)
    best = snapshots.best if settings.keep_best and math.isfinite(snapshots.lowest) else None
    if best:
        log.info("the best by validation is kept, not the last (training.keep_best)")
    result = Trained(recorder.step, recorder.rows, recorder.last_loss, round(recorder.seconds, 1))
    saver.finish(folder, _arguments(ready, result), recorder.losses, best)
    clock.forget()
    return result


def _in_time(ready: Prepared, meter: Speedometer, folder: RunFolder, group: Group) -> Taught:
    """All rows, or those of so many facts as the time is enough for; the others are told and noted in the ledger."""
    config, rows, facts = ready.config, ready.rows, ready.rows.facts
    if processes.first() and folder.ledger.exists():
        with Ledger(folder.ledger) as ledger:
            ledger.forget_drops("train")
    budget = seconds_of(config.training.budget) if config.training.budget else config.time_left
    if budget is None or not meter.peak or not facts:
        return rows
    seconds = group.shared(budget - ready.clock.attempt())
    streams = streams_of(rows, ready.replay, config.training)
    often = choices.exposures(streams, config.training, meter.work, seconds * meter.peak, len(facts))
    count = choices.fitting(len(facts), often)
    if count == len(facts):
        return rows
    places = documents_of(facts, folder)
    named = list(places)
    taught_first = [named[number] for number in choices.in_turn(list(places.values()))[:count]]
    reason = f"the time is enough for {count:,} of {len(facts):,} facts"
    log.warning(
        "%s: each would be asked about %.1f times, %g is the least; taught are the first of every document "
        "(a longer budget teaches more)", reason, often, choices.LEAST_EXPOSURES,
    )  # fmt: skip
    if processes.first() and folder.ledger.exists():
        with Ledger(folder.ledger) as ledger:
            ledger.add_drops(
                Drop("train", known.fact.text, reason, known.fact.chunk) for known in ledger.facts()
                if known.fact.id in places.keys() - set(taught_first)
            )  # fmt: skip
    return rows.of(set(taught_first))


def _meter(model: Any, trunk: Trunk | None, settings: TrainingConfig, group: Group) -> Speedometer:
    """What measures the steps of a model, against what all processes together could compute."""
    base = methods.base_of(model)
    (peak,) = group.summed(matmul_peak(base.dtype, base.device.type))
    return Speedometer(work_of(model, trunk.depth if trunk else 0), peak, base.device.type, settings.log_steps)


def _tried(saver: Saver, folder: RunFolder, replay: Sequence[Encoded], settings: TrainingConfig) -> None:
    """Does a third of what the end will take, to see how long that is."""
    saver.tried(folder)
    if settings.retention_limit is not None:
        strength.tried(saver.engine, replay, settings.validation_rows)


def _arguments(ready: Prepared, result: Trained) -> Row:
    """What is to be known of a training."""
    config, base = ready.config, methods.base_of(ready.model).config._name_or_path
    return {
        "key": ready.key, "result": asdict(result), "model": config.model.name, "seed": config.seed,
        "base": identity(base), "dataset": ready.rows.digest, "settings": asdict(config),
    }  # fmt: skip


def _finished(folder: RunFolder, key: str) -> Trained | None:
    if not folder.training_arguments.exists():
        return None
    arguments = read_json(folder.training_arguments)
    return Trained(**arguments["result"]) if arguments["key"] == key else None


def _key(config: Config, rows: Taught, base: str) -> str:
    """What a training depends on; an adapter or checkpoint of another key is not this training's."""
    settings = _settings(config)
    for how in _HOW:
        del settings["training"][how]
    model = [rows.digest, identity(base), config.model.dtype, config.model.bits]
    if config.adapter.start_from:
        model.append(digest(Path(config.adapter.start_from).expanduser() / "adapter_model.safetensors"))
    if rows.unknown:
        # What documents name decides them besides the dataset.
        model.append(hashlib.sha256(repr([row.ids for row in rows.unknown]).encode()).hexdigest())
    return hashlib.sha256(json.dumps([settings, *model], sort_keys=True).encode()).hexdigest()[:16]


def _settings(config: Config) -> Row:
    """What says how a training goes."""
    sections = {name: asdict(getattr(config, name)) for name in ("adapter", "optimizer", "schedule", "training")}
    return {**sections, "seed": config.seed}
