"""llama.cpp's own server without its HTTP, by the package xllamacpp; run by .cache/bench-venv's Python.

Set up with `model`, `engine` (see in_force.Engine), the `chats`, one a slot, and `tokens`. Model, context and threads
are as ours, everything else as the server has it. A round sends all chats at once and gives the times of each one's
tokens.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xllamacpp

from tests.bench.rounds import Round, serve


def make(setup: dict[str, Any]) -> Round:
    engine, chats = setup["engine"], setup["chats"]
    params = xllamacpp.CommonParams()
    params.model.path = setup["model"]
    # The server divides it among its slots.
    params.n_ctx = engine["n_ctx_tokens"] * len(chats)
    params.n_parallel = len(chats)
    params.cpuparams.n_threads = engine["threads"]
    params.cpuparams_batch.n_threads = engine["threads_batch"]
    params.verbosity = 0
    server = xllamacpp.Server(params)

    def ask(chat: list[dict[str, str]]) -> list[float]:
        times = []

        def take(chunk: dict[str, Any]) -> bool:
            if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
            return False  # True would end it

        request = {
            "messages": chat, "stream": True, "temperature": 0, "repeat_penalty": 1, "max_tokens": setup["tokens"],
        }  # fmt: skip
        server.handle_chat_completions(request, take)
        return times

    pool = ThreadPoolExecutor(len(chats))
    return lambda _: list(pool.map(ask, chats))


if __name__ == "__main__":
    serve(make)
