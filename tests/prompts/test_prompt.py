"""Prompts that the model is shown, and what is left out when they do not fit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import ContextOverflow
from agentgw.protocol.types import ChatMessage, File
from agentgw_daemon.inference.engine import PromptCount
from agentgw_daemon.prompts.prompt import Prompt, count_parts, exchanges, fit, surely_fits, with_files
from tests.prompts.words import Counter, turn

pytestmark = pytest.mark.anyio


def test_files_follow_the_message_under_their_names() -> None:
    made = with_files("Compare.", [File(name="a.txt", text="one\n"), File(name="b", text="two")])
    assert made == "Compare.\n\na.txt:\n```\none\n```\n\nb:\n```\ntwo\n```"


def test_a_file_alone_needs_no_message() -> None:
    assert with_files(" ", [File(name="a", text="x")]).startswith("a:")


def test_messages_are_system_history_message() -> None:
    prompt = Prompt(system="sys", history=(turn(2),), message="now")
    assert [message.role for message in prompt.messages()] == ["system", "user", "assistant", "user"]
    assert [message.role for message in prompt.messages(1)] == ["system", "user"]


def test_no_system_text_makes_no_system_message() -> None:
    assert [message.role for message in Prompt(system="", history=(), message="x").messages()] == ["user"]


def test_rows_of_a_turn_become_one_exchange_and_tools_are_left_out() -> None:
    made = exchanges([("t1", "user", "a"), ("t1", "tool", "x"), ("t1", "assistant", "b"), ("t2", "user", "c")])
    assert [len(exchange.messages) for exchange in made] == [2, 2]


def test_a_turn_that_came_to_no_answer_still_has_the_models_side() -> None:
    (made,) = exchanges([("t", "user", "c")])
    assert [message.role for message in made.messages] == ["user", "assistant"]
    assert made.messages[0].content == "c"


async def test_what_fits_stays_whole() -> None:
    fitted = await fit(Prompt(system="s", history=(turn(10),), message="m"), Counter(1000), max_tokens=None, model="x")
    assert fitted.left_out_turns == 0
    assert len(fitted.messages) == 4


async def test_the_oldest_turns_go_first_and_are_counted() -> None:
    prompt = Prompt(system="s", history=tuple(turn(100) for _ in range(10)), message="m")
    fitted = await fit(prompt, Counter(600), max_tokens=100, model="x")
    # 600 - 100 for the answer = 500: s + m + 4 turns = 402 fit, 5 turns = 502 do not.
    assert fitted.left_out_turns == 6
    assert fitted.left_out_tokens == 600
    assert fitted.messages[0].role == "system"
    assert len(fitted.messages) == 2 + 4 * 2


async def test_a_message_that_cannot_fit_is_refused_with_the_numbers() -> None:
    prompt = Prompt(system="s", history=(turn(100),), message="m " * 700)
    with pytest.raises(ContextOverflow) as caught:
        await fit(prompt, Counter(600), max_tokens=None, model="tiny")
    assert caught.value.data == {"prompt_tokens": 701, "n_ctx_tokens": 600, "model": "tiny"}


async def test_a_message_that_leaves_little_room_is_still_answered() -> None:
    fitted = await fit(Prompt(system="", history=(), message="m " * 599), Counter(600), max_tokens=None, model="x")
    assert len(fitted.messages) == 1


@given(st.lists(st.integers(2, 60), max_size=30), st.integers(40, 400), st.integers(1, 40))
async def test_it_never_leaves_out_more_than_needed(sizes: list[int], n_ctx: int, message: int) -> None:
    prompt = Prompt(system="s", history=tuple(turn(size) for size in sizes), message="m " * message)
    counter = Counter(n_ctx)
    try:
        fitted = await fit(prompt, counter, max_tokens=None, model="x")
    except ContextOverflow:
        assert message + 1 >= n_ctx
        return
    reserve = min(512, n_ctx // 4)
    tokens = [(await counter(prompt.messages(skip))).tokens for skip in range(len(sizes) + 1)]
    fitting = [skip for skip, count in enumerate(tokens) if count + reserve <= n_ctx]
    assert fitted.left_out_turns == (fitting[0] if fitting else len(sizes))
    assert fitted.left_out_tokens == tokens[0] - tokens[fitted.left_out_turns]


class Letters:
    """Counts two characters as a token, and three for the template at the start of each message."""

    def __init__(self) -> None:
        self.asked: list[Sequence[ChatMessage]] = []

    async def __call__(self, messages: Sequence[ChatMessage]) -> PromptCount:
        self.asked.append(messages)
        text = "".join(f"<{message.role[0]}>{message.content}" for message in messages)
        return PromptCount(tokens=-(-len(text) // 2), n_ctx_tokens=1000, text=text)


async def test_each_part_is_what_it_adds_and_together_they_are_the_prompt() -> None:
    files = [File(name="a.txt", text="12345678"), File(name="b", text="12")]
    prompt = Prompt(system="sys!", history=(turn(2),), message=with_files("now?", files))
    count = Letters()
    whole, parts = await count_parts(prompt.messages(), count, system="skill x", message="now?", files=files)
    assert [(part.name, part.tokens) for part in parts] == [
        ("template", 6), ("skill x", 2), ("earlier turns", 2), ("message", 2), ("file a.txt", 12), ("file b", 8),
    ]  # fmt: skip
    assert whole == await count(prompt.messages())
    assert sum(part.tokens for part in parts) == whole.tokens


async def test_parts_are_counted_with_every_role_in_its_place_for_templates_that_want_them_to_alternate() -> None:
    prompt = Prompt(system="sys", history=(turn(2), turn(2)), message="now")
    count = Letters()
    await count_parts(prompt.messages(), count, system="system", message="now")
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [[message.role for message in messages] for messages in count.asked] == [roles] * 4


async def test_a_part_that_is_not_there_is_not_counted() -> None:
    _, parts = await count_parts(
        Prompt(system="", history=(), message="x").messages(), Letters(), system="s", message="x"
    )
    assert [part.name for part in parts] == ["template", "message"]
    files = [File(name="f", text="x")]
    prompt = Prompt(system="", history=(), message=with_files(" ", files))
    _, parts = await count_parts(prompt.messages(), Letters(), system="s", message=" ", files=files)
    assert [part.name for part in parts] == ["template", "file f"]


async def test_text_that_merges_with_the_template_adds_nothing_rather_than_less() -> None:
    async def count(messages: Sequence[ChatMessage]) -> PromptCount:
        tokens = {0: 9, 1: 7}.get(sum(bool(message.content) for message in messages), 10)
        return PromptCount(tokens=tokens, n_ctx_tokens=100, text="")

    _, parts = await count_parts(
        Prompt(system="s", history=(), message="m").messages(), count, system="system", message="m"
    )
    assert [part.tokens for part in parts] == [9, 0, 1]


@given(
    st.text(max_size=9), st.lists(st.integers(2, 9), max_size=4), st.text(max_size=9),
    st.lists(st.text(max_size=9), max_size=3),
)  # fmt: skip
async def test_the_parts_of_any_prompt_make_up_the_whole(
    system: str, sizes: list[int], message: str, texts: list[str]
) -> None:
    files = [File(name=f"f{number}", text=text) for number, text in enumerate(texts)]
    prompt = Prompt(system=system, history=tuple(turn(size) for size in sizes), message=with_files(message, files))
    count = Letters()
    whole, parts = await count_parts(prompt.messages(), count, system="system", message=message, files=files)
    assert len(count.asked) == len(parts)
    assert whole == await count(prompt.messages())
    assert sum(part.tokens for part in parts) == whole.tokens
    assert all(part.tokens >= 0 for part in parts)


def test_short_prompts_need_no_count() -> None:
    assert surely_fits(Prompt(system="s" * 100, history=(), message="hello"), 0)
    assert not surely_fits(Prompt(system="", history=(), message="x" * 4000), 0)
    assert not surely_fits(Prompt(system="s" * 100, history=(), message="hello"), 512)


def test_a_large_context_in_the_settings_proves_nothing_of_the_models_own() -> None:
    assert not surely_fits(Prompt(system="", history=(), message="x" * 4000), 8192)
