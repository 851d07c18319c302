"""The page is served: where, to whom, and until when."""

import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from knowledge_update.chat.addresses import private, shown
from knowledge_update.chat.session import Session
from knowledge_update.display import console, log
from knowledge_update.errors import ConfigError, UserError
from knowledge_update.run_folder import RunFolder

USER, PASSWORD = "KUPDATE_WEB_USER", "KUPDATE_WEB_PASSWORD"
# Bytes of a request: a message of a hundred thousand characters fits many times.
_LONGEST = 4 << 20
# Conversations that are kept; the one that was used longest ago goes first.
_KEPT = 1000
# Seconds that answers have to end when the server does.
_GRACE = 2


@dataclass(frozen=True)
class Crowd:
    """How many may talk.

    Args:
        at_once: Answers that are written at once.
        waiting: Answers that may wait.
    """

    at_once: int = 4
    waiting: int = 64


def login() -> tuple[str, str] | None:
    """Who may come in: a user and a password from the environment; everybody where neither is there.

    Raises:
        ConfigError: When one of them is missing.
    """
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if bool(user) != bool(password):
        raise ConfigError(f"{USER} and {PASSWORD}: set both, or neither")
    return (user, password) if user else None


def untrained(model: str | None) -> RunFolder | None:
    """A run that has no model yet, where one was named: its training can be followed, and nobody talked to.

    Its files are looked at and left alone: somebody may be at work there.
    """
    run = RunFolder(model or "")
    return run if model and run.config.exists() and not run.adapter.exists() else None


def serve(bound: socket.socket, crowd: Crowd, opening: Session | None, run: RunFolder | None) -> None:
    """Serves the page until it is interrupted.

    Args:
        bound: The place, taken.
        crowd: How many may talk.
        opening: What every conversation begins with; none where there is no model to talk to.
        run: The run that is shown.
    """
    quiet()
    import uvicorn

    with ThreadPoolExecutor(1, "model") as hand:
        app = application(opening, run, crowd, hand)
        host, port = bound.getsockname()[:2]
        if not login() and not private(host):
            log.warning("whoever reaches %s may talk to the model: %s and %s ask for a login", host, USER, PASSWORD)
        console.print(f"open {shown(host, port)} in a browser; Ctrl-C ends", markup=False)
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE, server_header=False
        )

        class Server(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                # Pages hold connections until they are told that it ends; who still does is not worth a traceback.
                app.routes[-1].app.stop_event.set()
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
                await super().shutdown(sockets)

        # What comes after the server has ended is the signal that ended it.
        with suppress(KeyboardInterrupt):
            Server(settings).run(sockets=[bound])
        hand.shutdown(wait=False, cancel_futures=True)


def application(opening: Session | None, run: RunFolder | None, crowd: Crowd, hand: ThreadPoolExecutor) -> Any:
    """The page as a web application."""
    import gradio as gr
    from fastapi import FastAPI

    from knowledge_update.chat.page import page, style
    from knowledge_update.chat.visitor import Visitor

    visitor = Visitor(opening, hand) if opening else None
    blocks = page(visitor, run, at_once=crowd.at_once, waiting=crowd.waiting)
    blocks.state_session_capacity = _KEPT
    theme = gr.themes.Default(
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    return gr.mount_gradio_app(
        app, blocks, path="/", auth=login(), footer_links=[], run_history=False, ssr_mode=False, pwa=False,
        mcp_server=False, enable_monitoring=False, show_error=False, theme=theme, css=style(), max_file_size=1,
    )  # fmt: skip


class Guard:
    """Stands before the page: it may reach nothing but itself, and no request may be without end.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Lets a request through, or refuses it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        long = int(headers.get(b"content-length", b"0")) > _LONGEST or b"transfer-encoding" in headers
        if long or b"/upload" in scope["raw_path"]:
            await send({"type": "http.response.start", "status": 413, "headers": []})
            await send({"type": "http.response.body", "body": b"too long"})
            return

        from knowledge_update.chat.page import POLICY

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff")]
                message["headers"] = [*message["headers"], *own, (b"referrer-policy", b"no-referrer")]
            await send(message)

        await self.app(scope, receive, sent)


def quiet() -> None:
    """Keeps the library from calling anybody, and from counting every event for a page that nobody opens."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000000"
    os.environ["GRADIO_NUM_PORTS"] = "1"
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError("the page needs Gradio: pip install 'knowledge-update[web]'") from error
