"""Talking to a model in the terminal, or by lines that are piped in."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from rich.table import Table
from rich.text import Text

from knowledge_update.chat.evidence import NONE, rests_on
from knowledge_update.chat.session import Session, settings_of
from knowledge_update.display import clean, console
from knowledge_update.errors import KnowledgeUpdateError, UserError
from knowledge_update.run_folder import as_line

HELP = """\
/new               begin anew                 /system TEXT   what the model is told first; /system - takes it away
/retry             answer the last again      /set NAME N    temperature, top_p, max_new_tokens, context, seed
/undo              take the last turn back    /compare TEXT  base and updated side by side; or the last question
/save FILE         append as a training row   /facts         what of the ledger the last answer rests on
/quit              end (Ctrl-D too)           Ctrl-C         stops an answer, and keeps what was said
A line that ends in \\ goes on in the next; so does all between two lines of \"\"\"."""


class Terminal:
    """A session, and who types.

    Args:
        session: The conversation.
        stream: Whether answers are shown as they are written.
        typed: Whether a person types; else lines are piped in, and nothing but answers is printed.
    """

    def __init__(self, session: Session, *, stream: bool, typed: bool) -> None:
        self.session, self.stream, self.typed = session, stream, typed
        self.failed = 0
        self._commands: dict[str, Callable[[str], object]] = {
            "help": lambda _: console.print(HELP, markup=False), "new": self._new, "system": self._system,
            "set": self._set, "compare": self._compare, "facts": self._facts, "save": self._save, "retry": self._retry,
            "undo": self._undo,
        }  # fmt: skip

    def talk(self) -> None:
        """Reads until the end."""
        while (text := self._asked()) not in (None, "/quit", "/exit"):
            try:
                self._do(str(text))
            except EOFError:
                return
            except KeyboardInterrupt:
                console.print()
                if not self.typed:
                    return
            except KnowledgeUpdateError as error:
                self._tell(str(error))
            except (RuntimeError, MemoryError, OSError) as error:
                # The model failed at this turn (out of memory, say); the next may fit.
                self._tell(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")

    def _asked(self) -> str | None:
        """What is said next; none at the end, which two times Ctrl-C are too."""
        for _ in range(2):
            try:
                return self._read()
            except EOFError:
                return None
            except KeyboardInterrupt:
                console.print()
                if not self.typed:
                    return None
                console.print("Ctrl-C again, /quit or Ctrl-D ends", markup=False)
        return None

    def _tell(self, line: str) -> None:
        self.failed += 1
        print(clean(line), file=sys.stderr, flush=True)

    def _read(self) -> str:
        lines = [self._line("you: ")]
        if lines[0].strip() == '"""':
            lines = []
            while (line := self._line("...: ")).strip() != '"""':
                lines.append(line)
        else:
            while lines[-1].endswith("\\"):
                lines[-1] = lines[-1][:-1]
                lines.append(self._line("...: "))
        return "\n".join(lines).strip()

    def _line(self, prompt: str) -> str:
        text = input(prompt if self.typed else "")
        # Bytes that are no text, and keys that are no letters.
        return clean(text.encode("utf-8", "replace").decode("utf-8"))

    def _do(self, text: str) -> None:
        if not text:
            return
        word, _, rest = text.partition(" ")
        if not text.startswith("/"):
            self._show(self.session.answer(text))
        elif command := self._commands.get(word[1:]):
            command(rest.strip())
        else:
            raise UserError(f"no command {word}; /help shows them")

    def _show(self, pieces: Iterator[str]) -> None:
        before = self.session.start
        try:
            if self.stream:
                for piece in pieces:
                    print(clean(piece), end="", flush=True)
                print(flush=True)
            else:
                print(clean("".join(pieces)), flush=True)
        except KeyboardInterrupt:
            # What was said stays in the conversation.
            pieces.close()  # type: ignore[attr-defined]
            if not self.stream and self.session.turns:
                print(clean(self.session.turns[-1].answer), end="")
            print(" …", flush=True)
            if not self.typed:
                raise
        if self.typed and self.session.start > before:
            console.print(f"(the first {self.session.start} turns no longer fit the context)", markup=False)

    def _new(self, _: str) -> None:
        self.session.new()

    def _system(self, text: str) -> None:
        if text:
            self.session.system = "" if text == "-" else text
        console.print(clean(self.session.system) or "(nothing)", markup=False)

    def _set(self, text: str) -> None:
        name, _, value = text.replace("=", " ").partition(" ")
        if name:
            self.session.sampling.change(name, value.strip())
        console.print(", ".join(f"{name} {value}" for name, value in settings_of(self.session).items()), markup=False)

    def _compare(self, text: str) -> None:
        answers = list(self.session.compared(text))[-1]
        shown = Table("base", "updated", expand=True)
        shown.add_row(*(Text(clean(answer)) for answer in answers))
        console.print(shown)

    def _facts(self, _: str) -> None:
        found = rests_on(self.session)
        if not found:
            console.print(NONE, markup=False)
        for evidence in found:
            known = evidence.known
            lines = (f"{known.fact.text}", f"  “{known.fact.quote}”", f"  {known.title}, {known.path}")
            console.print(clean("\n".join(lines)), markup=False)

    def _save(self, text: str) -> None:
        if not self.session.turns:
            raise UserError("nothing has been said yet")
        path = Path(text or "chat.jsonl").expanduser()
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(as_line({"messages": self.session.messages()}))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error
        console.print(f"appended to {path}", markup=False)

    def _retry(self, _: str) -> None:
        self._show(self.session.answer(self.session.undo().question))

    def _undo(self, _: str) -> None:
        console.print(clean(f"taken back: {self.session.undo().question}"), markup=False)


def talk(session: Session, name: str, *, stream: bool = True) -> int:
    """Reads questions until the end of input and answers them.

    Args:
        session: The conversation.
        name: What the model was named by.
        stream: Whether answers are shown as they are written.

    Returns:
        The exit code: 1 where piped lines could not be answered.
    """
    typed = sys.stdin.isatty()
    if typed:
        # Keys to move and to bring back what was typed.
        import readline  # noqa: F401

        console.print(f"{name} is ready; /help shows what there is besides talking", markup=False)
    terminal = Terminal(session, stream=stream, typed=typed)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        terminal.talk()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 1 if terminal.failed and not typed else 0


def _end(_: int, __: FrameType | None) -> Any:
    """A scheduler that wants its machine back is obeyed at once, whatever is being said."""
    raise EOFError
