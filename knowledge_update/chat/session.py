"""A conversation with a model: bounded by its context, streamed token by token, stopped at any of them."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from knowledge_update.errors import UserError
from knowledge_update.ready_model import ReadyModel
from knowledge_update.templates import ChatTemplate

if TYPE_CHECKING:
    from torch import Generator, Tensor

Message = dict[str, str]
# A context where the model names none.
_CONTEXT = 4096


@dataclass
class Sampling:
    """How answers are made.

    Args:
        temperature: 0 takes the likeliest token each time, which knows best what was taught.
        top_p: Tokens are drawn from the likeliest that have this share of the probability together.
        max_new_tokens: Of an answer at most.
        context: Tokens of conversation and answer at most; what the model reads where it is 0.
        seed: Of what is drawn.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 256
    context: int = 0
    seed: int = 0

    def change(self, name: str, text: str) -> None:
        """Sets one of them.

        Raises:
            UserError: When there is none of this name, or the value does not fit.
        """
        known = vars(self)
        if name not in known:
            raise UserError(f"no setting {name!r}: there are {', '.join(known)}")
        try:
            value = type(known[name])(text)
        except ValueError as error:
            raise UserError(f"{name} {text}: a number") from error
        least, most = {"temperature": (0, 10), "top_p": (1e-6, 1), "max_new_tokens": (1, 1 << 20)}.get(
            name, (0, 1 << 31)
        )
        if not least <= value <= most:
            raise UserError(f"{name} {text}: from {least:g} to {most:g}")
        setattr(self, name, value)


@dataclass
class Turn:
    """A question and its answer; `whole` unless the answer was stopped."""

    question: str
    answer: str = ""
    whole: bool = False


@dataclass
class Session:
    """One conversation.

    Args:
        ready: The model.
        sampling: How answers are made.
        system: What the model is told before all turns.

    Attributes:
        turns: All turns.
        start: The first turn that still fits the context.
        drawn: How many answers have been begun: each has draws of its own.
    """

    ready: ReadyModel
    sampling: Sampling = field(default_factory=Sampling)
    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    start: int = 0
    drawn: int = 0

    @property
    def template(self) -> ChatTemplate:
        return self.ready.template

    def new(self) -> None:
        """Forgets the conversation; what the system says stays."""
        self.turns, self.start = [], 0

    def undo(self) -> Turn:
        """Takes the last turn back.

        Raises:
            UserError: When there is none.
        """
        if not self.turns:
            raise UserError("nothing has been said yet")
        turn = self.turns.pop()
        # What had to go for it comes back.
        self.start = 0
        return turn

    def messages(self) -> list[Message]:
        """The whole conversation, as rows of training have it."""
        return self._told(self.turns)

    def answer(self, text: str) -> Iterator[str]:
        """Yields the answer piece by piece; what was said is kept, also when the caller stops early.

        Raises:
            UserError: When the question alone is longer than the context; the conversation is as before then.
        """
        turn = Turn(text)
        self.turns.append(turn)
        try:
            yield from self._said(turn)
        except Exception:
            # The model failed, or the question does not fit: as if it had not been asked.
            self.turns.pop()
            raise

    def _said(self, turn: Turn) -> Iterator[str]:
        for piece in self._pieces(self._prompt()):
            turn.answer += piece
            yield piece
        turn.whole = True

    def aside(self, text: str, *, base: bool = False) -> Iterator[str]:
        """The answer to a question that is not kept in the conversation.

        Args:
            text: The question.
            base: Whether the base model answers, without the adapter.

        Raises:
            UserError: When it does not fit the context.
        """
        self.turns.append(Turn(text))
        try:
            ids = self._prompt()
        finally:
            self.turns.pop()
        yield from self._pieces(ids, base=base)

    def compared(self, text: str = "") -> Iterator[tuple[str, str]]:
        """What base and updated model have said so far, as both go on; neither knows what was said before.

        Args:
            text: The question; the last of the conversation where it is empty.

        Raises:
            UserError: When there is no base or no question, or it does not fit the context.
        """
        if not self.ready.adapter:
            raise UserError("there is no base to compare with: name the run, or the adapter, instead of a whole model")
        asked = text or (self.turns[-1].question if self.turns else "")
        if not asked:
            raise UserError("nothing has been asked yet: there is no question to compare answers to")
        aside = Session(self.ready, self.sampling, self.system)
        said = ["", ""]
        yield "", ""
        for pieces in zip_longest(aside.aside(asked, base=True), aside.aside(asked), fillvalue=""):
            said = [before + piece for before, piece in zip(said, pieces, strict=True)]
            yield said[0], said[1]

    def context(self) -> int:
        """Tokens of a prompt and its answer together."""
        model = self.ready.model.config.get_text_config()
        most = int(getattr(model, "max_position_embeddings", 0) or _CONTEXT)
        return min(self.sampling.context or most, most)

    def room(self) -> int:
        """Tokens that a prompt may have."""
        context = self.context()
        # An answer as long as the context would leave nothing to ask with.
        return context - min(self.sampling.max_new_tokens, context // 2)

    def _prompt(self) -> list[int]:
        """The conversation as ids; the oldest turns go where the context would overflow, the system's words stay."""
        room = self.room()
        self.start = min(self.start, len(self.turns) - 1)
        ids = self.template.prompt(self._told(self.turns[self.start :]))
        while len(ids) > room and self.start < len(self.turns) - 1:
            self.start += 1
            ids = self.template.prompt(self._told(self.turns[self.start :]))
        if len(ids) > room:
            raise UserError(f"this is {len(ids):,} tokens long, and {room:,} fit: ask in fewer words")
        return ids

    def _told(self, turns: list[Turn]) -> list[Message]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for turn in turns:
            messages.append({"role": "user", "content": turn.question})
            if turn.answer or turn is not self.turns[-1]:
                messages.append({"role": "assistant", "content": turn.answer})
        return messages

    def _pieces(self, ids: list[int], *, base: bool = False) -> Iterator[str]:
        """Generates; a character of several tokens is not shown before it is whole."""
        tokens: list[int] = []
        decode = self.template.tokenizer.decode
        # Pieces depend on what stands before them: a few tokens back they no longer do.
        seen = shown = 0
        for token in self._tokens(ids, base=base):
            tokens.append(token)
            before = decode(tokens[seen:shown], skip_special_tokens=True)
            text = decode(tokens[seen:], skip_special_tokens=True)
            if len(text) > len(before) and not text.endswith("\ufffd"):
                yield text[len(before) :]
                seen, shown = shown, len(tokens)
        rest = decode(tokens[seen:], skip_special_tokens=True)[
            len(decode(tokens[seen:shown], skip_special_tokens=True)) :
        ]
        if rest:
            yield rest

    def _tokens(self, ids: list[int], *, base: bool = False) -> Iterator[int]:
        import torch
        from transformers import DynamicCache

        model = self.ready.model
        device = model.get_input_embeddings().weight.device
        draw = torch.Generator(device).manual_seed(self.sampling.seed + self.drawn)
        self.drawn += 1
        cache, step = DynamicCache(), torch.tensor([ids], device=device)
        for _ in range(min(self.sampling.max_new_tokens, self.context() - len(ids))):
            # For this token only: between two of them another conversation may go on with the same model.
            with self.ready.as_base() if base else nullcontext(), torch.inference_mode():
                output = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
                token = self._chosen(output.logits[0, -1], draw)
            if token in self.template.end_ids:
                return
            yield token
            step = torch.tensor([[token]], device=device)

    def _chosen(self, logits: "Tensor", draw: "Generator") -> int:
        import torch

        if not self.sampling.temperature:
            return int(logits.argmax())
        likely = torch.softmax(logits.float() / self.sampling.temperature, dim=-1)
        ordered, places = likely.sort(descending=True)
        # The first that reaches the share is among them.
        ordered[ordered.cumsum(0) - ordered >= self.sampling.top_p] = 0
        return int(places[torch.multinomial(ordered, 1, generator=draw)])


def settings_of(session: Session) -> dict[str, Any]:
    """What a user may set, with its values."""
    return {**vars(session.sampling), "room": session.room()}
