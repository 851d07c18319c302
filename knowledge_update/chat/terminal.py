"""Talking to a model in the terminal."""

import sys

from knowledge_update.chat.session import Session, open_session
from knowledge_update.display import clean, console

HELP = "/new forgets the conversation, /quit ends it (Ctrl-D too), Ctrl-C stops an answer and keeps what was said"


def talk(name: str, *, stream: bool = True) -> None:
    """Reads questions until the end of input and answers them.

    Args:
        name: A run folder, an adapter folder, or a model.
        stream: Whether answers are shown as they are written.

    Raises:
        ModelError: When there is no such model.
    """
    session = open_session(name)
    typed = sys.stdin.isatty()
    if typed:
        console.print(f"{name} is ready. {HELP}", markup=False)
    while True:
        line = _read(typed)
        if line is None or line in ("/quit", "/exit"):
            return
        if line == "/new":
            session.new()
        elif line.startswith("/"):
            console.print(HELP, markup=False)
        elif line:
            _reply(session, line, stream=stream)


def _read(typed: bool) -> str | None:
    try:
        return input("you: " if typed else "").strip()
    except EOFError:
        return None
    except KeyboardInterrupt:
        console.print()
        return None


def _reply(session: Session, line: str, *, stream: bool) -> None:
    pieces = session.answer(line)
    try:
        if stream:
            for piece in pieces:
                print(clean(piece), end="", flush=True)
            print()
        else:
            print(clean("".join(pieces)))
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]
        print(" …")
