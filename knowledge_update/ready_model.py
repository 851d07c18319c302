"""A model that can be asked: a base, a run's, an adapter's or a merged one, with the template it is spoken to in."""

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_update.adapter_files import find, tokenizer_folder
from knowledge_update.adapters import adapter_base, adapter_bits, is_adapter, load_adapter
from knowledge_update.config import ModelConfig
from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.models import gpus_of, identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_config import stored
from knowledge_update.run_folder import RunFolder, digest
from knowledge_update.templates import PLAIN_TEMPLATE, ChatTemplate

PATTERNS = ("chat", "prompt")


@dataclass(frozen=True)
class ReadyModel:
    """A model that can be asked.

    Args:
        model: A causal language model of transformers, adapter included.
        template: How it is spoken to.
        base: The folder of the base model, or of the whole one.
        adapter: The adapter's folder, where it has one.
        run: The run that taught it, where it was named by that.
    """

    model: Any
    template: ChatTemplate
    base: str
    adapter: Path | None
    run: RunFolder | None

    @property
    def fingerprint(self) -> str:
        """Tells this model from any other that would answer otherwise."""
        parts = [identity(self.base), digest(self.adapter / "adapter_model.safetensors") if self.adapter else ""]
        parts += [str(self.model.dtype), str(self.template.tokenizer.chat_template)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def as_base(self) -> Any:
        """Within this context the model answers as its base does."""
        return self.model.disable_adapter() if self.adapter else nullcontext()


def ready(
    settings: ModelConfig,
    *,
    named: bool,
    adapter: str | None = None,
    pattern: str | None = None,
    gpus: int | None = None,
) -> ReadyModel:
    """Loads what is named.

    Args:
        settings: `name` is a run folder (its updated model), an adapter's folder, or any model.
        named: Whether `name` was given: an adapter knows its base otherwise.
        adapter: An adapter for the model: a folder, a run folder, or a hub id.
        pattern: `chat`, the model's chat template, or `prompt`, a plain question and answer; `chat` where nothing is
            said and the model has one.
        gpus: Over how many GPUs the model is laid out.

    Raises:
        ModelError: When it cannot be found or loaded.
        ConfigError: When the pattern is unknown.
    """
    if pattern not in (None, *PATTERNS):
        raise ConfigError(f"--input_pattern {pattern}: one of {', '.join(PATTERNS)}")
    found = _found(settings, named=named, adapter=adapter)
    base = resolve(found.base, local_files_only=settings.local_files_only)
    chosen = precision(settings.dtype, settings.device)
    model = load_model(base, chosen, found.bits, gpus=gpus_of(gpus, chosen.device))
    if found.adapter:
        model = load_adapter(model, found.adapter)
    tokenizer = load_tokenizer(str(tokenizer_folder(Path(base), found.adapter)) if found.adapter else base)
    if pattern == "chat" and not tokenizer.chat_template:
        log.info("the model has no chat template: it is asked by plain question and answer (--input_pattern prompt)")
    if pattern == "prompt":
        tokenizer.chat_template = PLAIN_TEMPLATE
    return ReadyModel(model, ChatTemplate(tokenizer, _ends(model)), base, found.adapter, found.run)


@dataclass(frozen=True)
class _Found:
    base: str
    bits: int | None
    adapter: Path | None = None
    run: RunFolder | None = None


def _found(settings: ModelConfig, *, named: bool, adapter: str | None) -> _Found:
    """What is meant: a model, with an adapter where one is named, or found where the model should be."""
    name = Path(settings.name).expanduser()
    if adapter:
        folder, run = find(adapter, local_files_only=settings.local_files_only), _run(adapter)
        if named:
            return _Found(settings.name, settings.bits, folder, run)
        return _Found(adapter_base(folder), settings.bits or adapter_bits(folder), folder, run)
    if named and (run := _run(settings.name)):
        trained, model = run.require(run.adapter, f"train {run.path}"), stored(run).model
        if is_adapter(trained):
            return _Found(model.name, settings.bits or model.bits, trained, run)
        return _Found(str(trained), settings.bits, run=run)
    if named and (name / "adapter_config.json").exists():
        return _Found(adapter_base(name), settings.bits or adapter_bits(name), name)
    return _Found(settings.name, settings.bits)


def _run(name: str) -> RunFolder | None:
    run = RunFolder(name)
    return run if run.config.exists() else None


def _ends(model: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    return list(ends) if isinstance(ends, list) else [ends] if isinstance(ends, int) else []
