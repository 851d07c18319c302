"""A conversation with a model: bounded by its context, streamed token by token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge_update.adapters import adapter_base, adapter_bits, is_adapter, load_adapter
from knowledge_update.config import ModelConfig
from knowledge_update.models import load_model, load_tokenizer, precision, resolve
from knowledge_update.run_config import stored
from knowledge_update.run_folder import RunFolder
from knowledge_update.templates import ChatTemplate

Message = dict[str, str]


class Session:
    """One conversation.

    Args:
        model: The model, adapter included.
        template: Its chat template.
        max_new_tokens: Tokens of an answer at most.
    """

    def __init__(self, model: Any, template: ChatTemplate, *, max_new_tokens: int = 256) -> None:
        self.model = model
        self.template = template
        self.max_new_tokens = max_new_tokens
        self.messages: list[Message] = []

    def new(self) -> None:
        """Forgets the conversation."""
        self.messages = []

    def answer(self, text: str) -> Iterator[str]:
        """Yields the answer piece by piece; what was said is kept, also when the caller stops early."""
        self.messages.append({"role": "user", "content": text})
        said = ""
        try:
            for piece in self._pieces(self._prompt()):
                said += piece
                yield piece
        finally:
            self.messages.append({"role": "assistant", "content": said})

    def _prompt(self) -> list[int]:
        """The conversation as ids; the oldest turns go when the context would overflow."""
        room = getattr(self.model.config.get_text_config(), "max_position_embeddings", 4096) - self.max_new_tokens
        ids = self.template.prompt(self.messages)
        while len(ids) > room and len(self.messages) > 1:
            self.messages = self.messages[2:]
            ids = self.template.prompt(self.messages)
        return ids[-room:]

    def _pieces(self, ids: list[int]) -> Iterator[str]:
        import torch
        from transformers import DynamicCache

        device = self.model.get_input_embeddings().weight.device
        cache, tokens, shown = DynamicCache(), list[int](), ""
        step = torch.tensor([ids], device=device)
        for _ in range(self.max_new_tokens):
            with torch.inference_mode():
                output = self.model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = int(output.logits[0, -1].argmax())
            if token in self.template.end_ids:
                break
            tokens.append(token)
            text = self.template.tokenizer.decode(tokens, skip_special_tokens=True)
            # A character of several tokens is not shown before it is whole.
            if not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
            step = torch.tensor([[token]], device=device)


def open_session(name: str) -> Session:
    """Opens a conversation with a run folder's updated model, an adapter folder's, or a bare model.

    Raises:
        ModelError: When it is none of these.
    """
    path = Path(name).expanduser()
    adapter: Path | None = None
    settings = ModelConfig(name=name)
    if (path / "config.yaml").exists():
        folder = RunFolder(path)
        settings = stored(folder).model
        trained = folder.require(folder.adapter, f"train {path}")
        if is_adapter(trained):
            adapter = trained
        else:
            settings.name = str(trained)
    elif (path / "adapter_config.json").exists():
        adapter, settings = path, ModelConfig(name=adapter_base(path), bits=adapter_bits(path))
    base = resolve(settings.name, local_files_only=settings.local_files_only)
    model = load_model(base, precision(settings.dtype, settings.device), settings.bits)
    template = ChatTemplate(load_tokenizer(base))
    return Session(load_adapter(model, adapter) if adapter else model, template)
