"""The page: what stands where, and what happens at each button. Text of documents and models is shown as text.

Markdown stays unread: an image in an answer would make the browser of whoever reads it call its address.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from knowledge_update.chat import run_page
from knowledge_update.chat.session import Message, Sampling
from knowledge_update.chat.visitor import Shown, Visitor
from knowledge_update.errors import UserError
from knowledge_update.run_folder import RunFolder

# Seconds between two looks at a training.
_LOOK = 3.0
# What the page may load and reach: itself. A browser holds to it whatever an answer says.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


def page(visitor: Visitor | None, run: RunFolder | None, *, at_once: int, waiting: int) -> gr.Blocks:
    """The page of a model, of a run, or of both.

    Args:
        visitor: What every visitor begins as; none where there is nobody to talk to yet.
        run: The run that the model comes from.
        at_once: Answers that are written at once; others wait.
        waiting: Answers that may wait; beyond them a visitor is told to come again.
    """
    with gr.Blocks(title="Knowledge Update", fill_height=True, analytics_enabled=False) as blocks:
        # Beside the tabs: among them it would be counted as one.
        kept = gr.State(visitor) if visitor else None
        with gr.Tabs() as tabs:
            if visitor and kept:
                _talk(visitor, kept, run, at_once)
            if run:
                _run_tab(run, tabs, blocks, seen=visitor is None)
    blocks.queue(max_size=waiting, default_concurrency_limit=at_once, api_open=False)
    return blocks


def _talk(opening: Visitor, visitor: gr.State, run: RunFolder | None, at_once: int) -> None:
    """The tabs of who talks: chat, compare, sources."""
    settings = _Settings(opening.session.sampling, opening.session.system)
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": at_once, "show_progress": "minimal"}
    with gr.Tab("Chat", id="chat"):
        chatbot = gr.Chatbot(
            label="Conversation", elem_id="conversation", render_markdown=False, latex_delimiters=[], allow_tags=False,
            buttons=[], height="54vh", group_consecutive_messages=False, feedback_options=None,
        )  # fmt: skip
        note = gr.HTML(elem_id="note")
        with gr.Row():
            typed = gr.Textbox(
                label="Question", placeholder="Ask, and press Enter", elem_id="question", scale=8, min_width=160,
                lines=1, max_lines=6, autofocus=True,
            )  # fmt: skip
            send = gr.Button("Send", variant="primary", elem_id="send", scale=1, min_width=80)
            stop = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=80)
        with gr.Row():
            retry, undo, clear = (
                gr.Button(name, elem_id=name.lower(), size="sm", min_width=80) for name in ("Retry", "Undo", "Clear")
            )
        settings.show()
        place = [chatbot, note, typed]
        writing = [
            gr.on([send.click, typed.submit], _ask, [visitor, typed, *settings.parts], place, api_name="chat", **model),
            retry.click(_retry, [visitor, *settings.parts], place, api_name="retry", **model),
        ]
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
        stop.click(
            lambda visitor: _placed(visitor.stop()), [visitor], [chatbot, note], cancels=writing, api_name="stop",
            **quick,
        )  # fmt: skip
        undo.click(lambda visitor: _all(visitor.undo()), [visitor], place, api_name="undo", **quick)
        gr.on(
            [clear.click, chatbot.clear], lambda visitor: _all(visitor.clear()), [visitor], place, api_name="clear",
            **quick,
        )  # fmt: skip
    if opening.session.ready.adapter:
        _compare_tab(visitor, settings, model)
    if run:
        with gr.Tab("Sources", id="sources") as tab:
            gr.HTML(run_page.note_html("Facts of the run's ledger that have words of the last answer."))
            found = gr.HTML(elem_id="sources")
            tab.select(_facts, [visitor], [found], api_name="sources", **quick)


def _compare_tab(visitor: gr.State, settings: "_Settings", model: dict[str, Any]) -> None:
    with gr.Tab("Compare", id="compare"):
        asked = gr.Textbox(
            label="Question", placeholder="Empty: the last question of the chat", elem_id="compared", max_lines=6
        )
        with gr.Row():
            start = gr.Button("Compare", variant="primary", elem_id="compare", min_width=80)
            stop = gr.Button("Stop", variant="stop", elem_id="stop-comparing", min_width=80)
        note = gr.HTML(elem_id="compare-note")
        with gr.Row():
            answers = [
                gr.Textbox(label=name, elem_id=f"answer-{name.lower()}", lines=6, max_lines=24, interactive=False)
                for name in ("Base", "Updated")
            ]
        going = gr.on(
            [start.click, asked.submit], _compare, [visitor, asked, *settings.parts], [*answers, note],
            api_name="compare", **model,
        )  # fmt: skip
        stop.click(None, cancels=[going], queue=False)


class _Settings:
    """How answers are made, as the visitor sets it."""

    def __init__(self, sampling: Sampling, system: str) -> None:
        self.parts = [
            gr.Slider(0, 2, value=sampling.temperature, step=0.05, render=False, label="Temperature",
                      info="0: the likeliest token each time", elem_id="temperature"),
            gr.Slider(0.05, 1, value=sampling.top_p, step=0.05, render=False, label="Top-p",
                      info="The likeliest tokens of this share together", elem_id="top-p"),
            gr.Number(value=sampling.max_new_tokens, precision=0, minimum=1, render=False, label="Tokens at most",
                      info="Of an answer", elem_id="tokens"),
            gr.Textbox(value=system, render=False, label="System", info="What the model is told before all else",
                       elem_id="system", max_lines=6),
        ]  # fmt: skip

    def show(self) -> None:
        """Puts them where the page is at."""
        with gr.Accordion("Settings", open=False):
            with gr.Row():
                for part in self.parts[:3]:
                    part.render()
            self.parts[3].render()


def _named(temperature: float, top_p: float, tokens: float, system: str) -> dict[str, Any]:
    return {"temperature": temperature, "top_p": top_p, "max_new_tokens": tokens, "system": system}


async def _ask(visitor: Visitor, text: str, *settings: Any) -> AsyncGenerator[tuple[Any, ...]]:
    async with aclosing(visitor.ask(text, _named(*settings))) as answers:
        async for shown in answers:
            yield _all(shown)


async def _retry(visitor: Visitor, *settings: Any) -> AsyncGenerator[tuple[Any, ...]]:
    async with aclosing(visitor.retry(_named(*settings))) as answers:
        async for shown in answers:
            # What is being typed stays.
            yield *_placed(shown), gr.skip()


async def _compare(visitor: Visitor, text: str, *settings: Any) -> AsyncGenerator[tuple[str, str, str]]:
    async with aclosing(visitor.compare(text, _named(*settings))) as answers:
        async for said in answers:
            yield said.base, said.updated, run_page.note_html(said.note)


def _placed(shown: Shown) -> tuple[list[Message], str]:
    messages = [{**message, "content": _as_text(message["content"])} for message in shown.messages]
    return messages, run_page.note_html(shown.note)


def _as_text(said: str) -> str:
    """What shows as this text: the component reads tags, Markdown or not, and takes for indented what begins alike."""
    return re.sub(r"(?m)^[ \t]", lambda blank: f"&#{ord(blank[0])};", escape(said, quote=False))


def _all(shown: Shown) -> tuple[Any, str, str]:
    return *_placed(shown), shown.typed


def _facts(visitor: Visitor) -> str:
    try:
        return run_page.evidence_html(visitor.facts())
    except UserError as error:
        return run_page.evidence_html([], str(error))


def _run_tab(run: RunFolder, tabs: gr.Tabs, blocks: gr.Blocks, *, seen: bool) -> None:
    """The tab of a run; `seen` is whether it is what the page opens with."""
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    with gr.Tab("Run", id="run") as tab:
        progress = gr.HTML(elem_id="progress")
        report = gr.HTML(elem_id="report")
        timer = gr.Timer(_LOOK, active=seen)
    opened = [tab.select, blocks.load] if seen else [tab.select]
    gr.on(
        [timer.tick, *opened], lambda: run_page.progress_html(run), None, [progress], api_name="progress", **quick
    )  # fmt: skip
    gr.on(opened, lambda: run_page.report_html(run), None, [report], api_name="report", **quick)
    tabs.select(_looking, None, [timer], api_name=False, **quick)


def _looking(event: gr.SelectData) -> gr.Timer:
    """A training is looked at while its tab is."""
    return gr.Timer(active=event.value == "Run")


def style() -> str:
    """What the page's own parts look like, in the colours of its theme."""
    return (Path(__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
