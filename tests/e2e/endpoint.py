"""A model whose every word the test decides: an OpenAI-compatible endpoint on 127.0.0.1."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.patience import PATIENCE_S

# The words that ask a model of this endpoint; see `Endpoint.config`.
SCRIPTED = ("run", "-m", "scripted/m")


class Conversation:
    """One request of the daemon. Nothing is answered but what `say` and `end` give."""

    def __init__(self, body: dict[str, Any], authorization: str | None) -> None:
        self.body = body
        self.authorization = authorization
        #: Set when the daemon has hung up.
        self.left = threading.Event()
        self.pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages that the model is shown."""
        shown: list[dict[str, str]] = self.body["messages"]
        return shown

    def say(self, *texts: str) -> None:
        """Pieces of the answer."""
        for text in texts:
            self.pieces.put(_event({"choices": [{"index": 0, "delta": {"content": text}}]}))

    def send(self, *pieces: bytes | dict[str, Any], hold: bool = False) -> None:
        """Sends bytes as they are, chunks as events. Then the connection ends, or stays open."""
        for piece in pieces:
            self.pieces.put(piece if isinstance(piece, bytes) else _event(piece))
        if not hold:
            self.pieces.put(None)

    def end(self, *texts: str) -> None:
        """The last pieces, and the end of the answer."""
        self.say(*texts)
        self._finish("stop")

    def _finish(self, reason: str) -> None:
        self.pieces.put(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
        self.pieces.put(b"data: [DONE]\n\n")
        self.pieces.put(None)

    def call(self, tool: str, **arguments: Any) -> None:
        """The answer is a tool call."""
        function = {"name": tool, "arguments": json.dumps(arguments)}
        calls = [{"index": 0, "id": "c1", "type": "function", "function": function}]
        self.pieces.put(_event({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}))
        self._finish("tool_calls")

    def fail(self, message: str) -> None:
        """Give up half-way, with a reason."""
        self.pieces.put(_event({"error": {"message": message}}))
        self.pieces.put(None)


class Endpoint:
    """A context manager; `config` makes it the provider `scripted`."""

    def __init__(self) -> None:
        self.conversations: queue.SimpleQueue[Conversation] = queue.SimpleQueue()
        self.served = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint._answer(self)

            def log_message(self, *_: Any) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        # Not server_close: it would wait for handlers whose conversation never ends.
        self._server.socket.close()

    @property
    def config(self) -> str:
        """The lines for config.toml."""
        return f'[providers.scripted]\nbase_url = "http://127.0.0.1:{self._server.server_port}/v1"\nmodels = ["m"]\n'

    def next(self) -> Conversation:
        """The next request; waits for it."""
        return self.conversations.get(timeout=PATIENCE_S)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["content-length"])
        read = handler.rfile.read(length)
        if len(read) < length:
            # Whoever asked was killed over it.
            return
        body = json.loads(read)
        conversation = Conversation(body, handler.headers["authorization"])
        self.served += 1
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        self.conversations.put(conversation)
        try:
            while True:
                try:
                    piece = conversation.pieces.get(timeout=0.1)
                except queue.Empty:
                    # A comment, to learn whether anybody is still there.
                    piece = b": \n\n"
                if piece is None:
                    return
                handler.wfile.write(piece)
        except OSError:
            conversation.left.set()


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()
