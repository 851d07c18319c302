"""Ours as it ships: the upper layers, the trunk, general prompts beside the questions, every setting its default.

All that happens after the model is loaded is training here: asking for replay, reading the rows, the steps.
"""

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from pacing import Pace

# From the repository, so that this code is measured and not another that is installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from knowledge_update.config import Config
from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.run_folder import RunFolder
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import methods
from knowledge_update.training.batching import Streams, plan
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.loop import train
from knowledge_update.training.opinions import with_opinions
from knowledge_update.training.pace import Pace as Steps
from knowledge_update.training.replay import replayed
from knowledge_update.training.rows import Encoder, Weighed
from knowledge_update.training.trunk import trunk_of
from knowledge_update.training_config import TrainingConfig


def main() -> None:
    """Trains to the end."""
    pace = Pace()
    config = Config(training=TrainingConfig(epochs=pace.task["epochs"]))
    settings = config.training
    model = load_model(pace.settings["model"], precision(pace.settings["dtype"], "cpu"))
    template = ChatTemplate(load_tokenizer(pace.settings["model"]))
    encoder = Encoder(template)
    questions = encoder.encode_all(pace.task["conversations"])
    head = encoder.prefix
    whole = [{"input_ids": [*head, *row.ids], "labels": [*[-100] * len(head), *row.labels]} for row in questions]
    pace.start(model, whole, ("transformers", "peft"))
    folder = RunFolder(Path(tempfile.mkdtemp()))
    replay = encoder.encode_all(replayed(model, template, config, folder, {"en"}))
    trunk = trunk_of(model, methods.untrained_layers(model, config.adapter), (questions, replay), encoder.prefix)
    replay = with_opinions(model, replay, encoder.prefix, settings.replay_pull, trunk)
    streams = Streams(
        Weighed(questions, settings.balance), [], Weighed(replay, settings.balance, settings.replay_weight)
    )
    batches = plan(streams, settings, config.seed)
    wrapped = methods.attach(model, config.adapter, config.seed)

    def write(folder: str) -> None:
        # Its layers are named by their numbers in the whole model.
        with trunk.whole() if trunk else nullcontext():
            wrapped.save_pretrained(folder)

    pace.saves(write)
    engine = OneProcess(wrapped, tuple(encoder.prefix), trunk.hidden if trunk else None)
    optimizer = engine.drives(config.optimizer)
    with trunk.upper() if trunk else nullcontext():
        train(
            wrapped, optimizer, batches, engine, Steps(len(batches)), config, start=0,
            after=lambda step: pace.step(step.loss),
        )  # fmt: skip
    pace.end()


if __name__ == "__main__":
    main()
