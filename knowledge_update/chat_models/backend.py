"""The chat model that a configuration names: opened, and given back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.pool import Pool
from knowledge_update.chat_models.protocol import ChatModel
from knowledge_update.chat_models.structure import Place, Structured
from knowledge_update.config import ChatModelConfig, ModelConfig
from knowledge_update.errors import ConfigError


@contextmanager
def opened(
    config: ChatModelConfig, base: ModelConfig, log_file: Path, place: Place = nullcontext
) -> Iterator[ChatModel]:
    """The model, to be closed by who asked it; a server that was started for it ends with the context.

    Args:
        config: Which model, and where.
        base: The model that is taught: its data type and device, and its name where the chat model has none.
        log_file: Where the output of a server goes that is started.
        place: Makes the context in which a request is sent that only finds out what a server can.

    Raises:
        ConfigError: When something is missing that this kind of model needs.
        ModelError: When a model of this machine cannot be found or loaded.
        WorkError: When a server does not start.
    """
    name = config.model or base.name
    if config.name == "hf":
        # Imported here, as the other below: a client of addresses needs neither PyTorch nor a server.
        from knowledge_update.chat_models.local_model import LocalModel

        yield LocalModel(name, base, config.batch_tokens)
    elif config.name == "vllm":
        from knowledge_update.chat_models.vllm_server import started

        with started(config, base, name, log_file) as model:
            yield _structured(model, config, place)
    else:
        yield _behind_addresses(config, place)


def _behind_addresses(config: ChatModelConfig, place: Place) -> ChatModel:
    if not config.addresses or not config.model:
        section = config.SECTION
        raise ConfigError(f"{section}=api needs {section}.base_url=URL (up to /v1) and {section}.model=NAME")
    variables = config.key_variables or ("",)
    if len(variables) == 1:
        variables *= len(config.addresses)
    models = [
        _structured(Endpoint(address, config.model, os.environ.get(variable, ""), config.timeout), config, place)
        for address, variable in zip(config.addresses, variables, strict=True)
    ]
    return models[0] if len(models) == 1 else Pool(list(zip(config.addresses, models, strict=True)))


def _structured(model: ChatModel, config: ChatModelConfig, place: Place) -> ChatModel:
    return Structured(model, config.structured, place)
