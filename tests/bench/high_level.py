"""Rate of a program that calls llama-cpp-python's own interface: `Llama.create_chat_completion(stream=True)`.

Set up with `model`, `engine` (see in_force.Engine), the `chats` (only the first is used: it has one sequence) and
`tokens`; everything else is as the library has it. A round gives the times of the answer's pieces.
"""

from __future__ import annotations

import time
from typing import Any

from llama_cpp import Llama, llama_cpp

from agentgw_daemon.workers.llama.llama import safe_model_params
from tests.bench.rounds import Round, serve


def make(setup: dict[str, Any]) -> Round:
    engine = setup["engine"]
    params = safe_model_params()
    llama_cpp.llama_model_default_params = lambda: params
    model = Llama(
        setup["model"], n_ctx=engine["n_ctx_tokens"], n_threads=engine["threads"],
        n_threads_batch=engine["threads_batch"], verbose=False,
    )  # fmt: skip

    def answer(_: object) -> list[list[float]]:
        chunks: Any = model.create_chat_completion(
            setup["chats"][0], stream=True, temperature=0, repeat_penalty=1, max_tokens=setup["tokens"]
        )
        return [[time.perf_counter() for chunk in chunks if chunk["choices"][0]["delta"].get("content")]]

    return answer


if __name__ == "__main__":
    serve(make)
