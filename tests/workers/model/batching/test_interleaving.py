"""Many requests in one loaded model, step by step and without a process: what each gets is what it gets alone."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentgw_daemon.workers.llama.llama import api
from agentgw_daemon.workers.model import loading
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.cancellation import Cancellations, Flag
from agentgw_daemon.workers.protocol import footprint
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.kv_files import state_folder
from tests.workers.llama.tinygguf import chain_model
from tests.workers.model.batching.limits import MOST_STEPS
from tests.workers.model.live import ask
from tests.workers.model.tunings import tuning

SHARED = "The system prompt of a skill, the same for all of its sessions. "
HEAD_TOKENS = len("#user\n")


class Impatient(Cancellations):
    """Stops the next batch that may be stopped when it is told to, whoever it is for."""

    stop_next = False

    def begin(self, request_id: int | None, abort: Flag, *, makes_way: bool = False, background: bool = False) -> None:
        super().begin(request_id, abort, makes_way=makes_way, background=background)
        if self.stop_next:
            self.stop_next = False
            abort.set()


class Decoding:
    """A decoder and what it said."""

    def __init__(
        self, path: Path, *, slots: int = 4, n_ctx_tokens: int = 1024, batch_tokens: int = 64, kv_dir: str = "",
        threads: int = 1, threads_batch: int = 1,
    ) -> None:  # fmt: skip
        self.said: list[wire.FromWorker] = []
        self.cancellations = Impatient()
        load = wire.Load(
            path=str(path), slots=slots, n_ctx_tokens=n_ctx_tokens, kv_dir=kv_dir, kv_cache_bytes=64 << 20,
            tuning=tuning(threads=threads, threads_batch=threads_batch, batch_tokens=batch_tokens),
        )  # fmt: skip
        self.decoder, self.loaded, _ = loading.load(
            load, emit=self.said.append, cancellations=self.cancellations, interruption=Interruption()
        )

    def submit(self, *requests: wire.Generate) -> None:
        for request in requests:
            self.cancellations.expect(request.request_id)
            self.decoder.submit(request)

    def run(self) -> None:
        """Computes until there is nothing to compute."""
        for _ in range(MOST_STEPS):
            if not self.decoder.step():
                return
        raise AssertionError("it computes on and on")

    def text(self, request_id: int) -> str:
        deltas = [
            said for said in self.said if isinstance(said, wire.GenerationDelta) and said.request_id == request_id
        ]
        return "".join(text for delta in deltas for text in delta.texts)

    def done(self, request_id: int) -> wire.GenerationDone:
        (done,) = [
            said for said in self.said if isinstance(said, wire.GenerationDone) and said.request_id == request_id
        ]
        return done

    def answer(self, request: wire.Generate) -> str:
        self.submit(request)
        self.run()
        return self.text(request.request_id)

    def close(self) -> None:
        self.decoder.close()


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose every token depends on all tokens before."""
    return chain_model(tmp_path_factory.mktemp("models") / "noise.gguf", ["x"], noise=3)


@pytest.fixture(scope="module")
def isolated(noise: Path) -> Iterator[Callable[[str], str]]:
    """The model's answer to a prompt that has it to itself, 8 tokens."""
    decoding = Decoding(noise, slots=1)

    @functools.cache
    def answer(prompt: str) -> str:
        decoding.said.clear()
        return decoding.answer(ask(1, prompt, max_tokens=8, recompute=True))

    yield answer
    decoding.close()


@pytest.fixture(scope="module")
def shared_decoding(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoding]:
    made = Decoding(noise, slots=3, kv_dir=str(tmp_path_factory.mktemp("kv")))
    yield made
    made.close()


@pytest.fixture
def decoding(noise: Path) -> Iterator[Decoding]:
    made = Decoding(noise)
    yield made
    made.close()


PROMPTS = st.builds(lambda n, rest: SHARED * n + rest, st.integers(0, 3), st.sampled_from(["a", "b", "cd", "e" * 90]))
ACTIONS = st.one_of(
    st.tuples(st.just("join"), PROMPTS, st.booleans(), st.booleans(), st.sampled_from(["", "one", "two"])),
    st.tuples(st.sampled_from(["step", "step", "stop"])),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)


# Derandomised: logits differ in their last bits with the batch, and somewhere two tokens are that close.
@settings(
    max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(actions=st.lists(ACTIONS, min_size=4, max_size=40))
def test_each_stream_gets_the_tokens_it_gets_alone(
    actions: list[tuple[object, ...]], shared_decoding: Decoding, isolated: Callable[[str], str]
) -> None:
    decoding, prompts = shared_decoding, dict[int, str]()
    decoding.said.clear()
    for action in actions:
        match action:
            case ("join", str(prompt), bool(recompute), bool(background), str(cache_scope)):
                prompts[len(prompts)] = prompt
                decoding.submit(
                    ask(
                        len(prompts) - 1,
                        prompt,
                        max_tokens=8,
                        recompute=recompute,
                        background=background,
                        cache_scope=cache_scope,
                    )
                )
            case ("cancel", int(at)) if prompts:
                decoding.cancellations.cancel(at % len(prompts))
            case (what,):
                decoding.cancellations.stop_next = what == "stop"
                decoding.decoder.step()
    decoding.cancellations.stop_next = False
    decoding.run()
    for request_id, prompt in prompts.items():
        whole = decoding.done(request_id).finish_reason != "cancelled"
        text, expected = decoding.text(request_id), isolated(prompt)
        assert text == expected if whole else expected.startswith(text.rstrip("\ufffd")), prompt


def test_sessions_that_come_together_compute_their_common_start_once(
    decoding: Decoding, isolated: Callable[[str], str]
) -> None:
    prompts = [SHARED * 3 + name for name in ("one", "two", "six")]
    decoding.submit(*(ask(n, prompt, max_tokens=8) for n, prompt in enumerate(prompts)))
    decoding.run()
    assert [decoding.text(n) for n in range(3)] == [isolated(prompt) for prompt in prompts]
    common = HEAD_TOKENS + len(SHARED) * 3
    # They started when what was left of it was not worth waiting for: after the last whole piece of 64.
    assert [decoding.done(n).cached_tokens for n in range(3)] == [0, common // 64 * 64, common // 64 * 64]


def test_a_running_stream_gets_a_token_between_any_two_pieces_of_a_long_prompt(tmp_path: Path) -> None:
    decoding = Decoding(chain_model(tmp_path / "endless.gguf", ["a", "b", "c"], endless=True))
    decoding.submit(ask(1, max_tokens=60))
    decoding.decoder.step()
    decoding.submit(ask(2, "y" * 600, max_tokens=1))
    decoding.run()
    # Text is sent before each piece, so that the order of messages is the order of events.
    said = [message for message in decoding.said if isinstance(message, wire.GenerationDelta | wire.Prefilled)]
    pieces = [at for at, message in enumerate(said) if message.request_id == 2 and isinstance(message, wire.Prefilled)]
    assert len(pieces) >= 5
    assert all(any(message.request_id == 1 for message in said[a:b]) for a, b in itertools.pairwise(pieces))
    decoding.close()


def test_a_seed_draws_the_same_text_whatever_the_others_do(decoding: Decoding) -> None:
    def draw(request_id: int) -> wire.Generate:
        return ask(request_id, "tell", seed=5, temperature=1.5, top_k=0, max_tokens=16, recompute=True)

    first = decoding.answer(draw(1))
    decoding.submit(ask(2, "z" * 200, max_tokens=30), draw(3), ask(4, "other", max_tokens=30))
    decoding.run()
    assert decoding.text(3) == first
    assert decoding.done(3).cached_tokens == 0


def test_a_stream_without_credit_waits_and_the_others_go_on(tmp_path: Path) -> None:
    path = chain_model(tmp_path / "endless.gguf", ["a", "b", "c"], endless=True)
    decoding, n = Decoding(path), wire.WINDOW_TEXTS
    decoding.submit(ask(1, max_tokens=n + 10))
    decoding.run()
    assert len(decoding.text(1)) == n
    assert decoding.answer(ask(2, max_tokens=5)) == "abcab"
    decoding.decoder.allow(wire.Credit(request_id=1, texts=4))
    decoding.run()
    assert len(decoding.text(1)) == n + 4
    decoding.cancellations.cancel(1)
    decoding.run()
    assert decoding.done(1).finish_reason == "cancelled"
    decoding.decoder.allow(wire.Credit(request_id=1, texts=4))
    decoding.close()


def test_where_memory_is_short_requests_wait_instead_of_failing(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "MAX_KV_BYTES", 1)
    decoding = Decoding(noise, n_ctx_tokens=256)
    decoding.submit(ask(1, "a", max_tokens=4), ask(2, "b", max_tokens=4), ask(3, "c" * 200, max_tokens=4))
    decoding.decoder.step()
    decoding.run()
    assert [decoding.done(n).finish_reason for n in (1, 2, 3)] == ["length"] * 3
    decoding.close()


SYSTEM = {"role": "system", "content": "You answer in one word. " * 5}


def with_system(request_id: int, text: str, **options: object) -> wire.Generate:
    return dataclasses.replace(ask(request_id, text, **options), messages=(SYSTEM, {"role": "user", "content": text}))


class TestSaved:
    """Keys and values that outlive their worker."""

    def test_a_session_goes_on_in_another_worker(self, noise: Path, tmp_path: Path) -> None:
        kv_dir = str(tmp_path / "kv")
        first = Decoding(noise, kv_dir=kv_dir)
        said = first.answer(ask(1, "z" * 200, max_tokens=8, cache_scope="s-1"))
        prompt_tokens = first.done(1).prompt_tokens
        first.close()
        follow_up = wire.Generate(
            request_id=2, temperature=0, max_tokens=8, cache_scope="s-1",
            messages=(
                {"role": "user", "content": "z" * 200}, {"role": "assistant", "content": said},
                {"role": "user", "content": "go on"},
            ),
        )  # fmt: skip
        second = Decoding(noise, kv_dir=kv_dir)
        text = second.answer(follow_up)
        assert second.done(2).cached_tokens >= prompt_tokens
        expected = second.answer(dataclasses.replace(follow_up, request_id=3, recompute=True))
        assert (text, second.done(3).cached_tokens) == (expected, 0)
        second.close()

    def test_what_a_skill_takes_is_saved_for_every_session_and_removed_with_none(
        self, noise: Path, tmp_path: Path
    ) -> None:
        first = Decoding(noise, kv_dir=str(tmp_path))
        first.answer(with_system(1, "a", max_tokens=2, cache_scope="s-1", skill=True))
        first.close()
        assert state_folder.forget(tmp_path, "s-1") == 1
        second = Decoding(noise, kv_dir=str(tmp_path))
        second.answer(with_system(2, "bcd", max_tokens=2, cache_scope="s-2", skill=True))
        assert second.done(2).cached_tokens == second.done(2).prompt_tokens - len("bcd#\n#assistant\n")
        second.close()

    def test_nothing_is_saved_in_nobodys_name(self, noise: Path, tmp_path: Path) -> None:
        decoding = Decoding(noise, kv_dir=str(tmp_path))
        decoding.answer(with_system(1, "a" * 200, max_tokens=2, skill=True))
        decoding.close()
        assert list(tmp_path.rglob("*.kv")) == []

    @pytest.mark.parametrize("harm", ["cut", "flip", "empty", "gone"])
    def test_a_damaged_state_costs_time_and_nothing_else(self, noise: Path, tmp_path: Path, harm: str) -> None:
        first = Decoding(noise, kv_dir=str(tmp_path))
        expected = first.answer(ask(1, "z" * 200, max_tokens=8, cache_scope="s-1"))
        first.close()
        second = Decoding(noise, kv_dir=str(tmp_path))
        (path,) = tmp_path.rglob("*.kv")
        data = path.read_bytes()
        match harm:
            case "cut":
                path.write_bytes(data[:-100])
            case "flip":
                path.write_bytes(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
            case "empty":
                path.write_bytes(b"")
            case "gone":
                path.unlink()
        assert second.answer(ask(2, "z" * 200, max_tokens=8, cache_scope="s-1")) == expected
        assert second.done(2).cached_tokens == 0
        second.close()

    def test_the_folder_may_go_while_it_runs(self, noise: Path, tmp_path: Path) -> None:
        decoding = Decoding(noise, kv_dir=str(tmp_path / "kv"))
        expected = decoding.answer(ask(1, "z" * 200, max_tokens=8, cache_scope="s-1"))
        shutil.rmtree(tmp_path / "kv", ignore_errors=True)  # it may be written to in this moment
        assert decoding.answer(ask(2, "z" * 200, max_tokens=8, cache_scope="s-2")) == expected
        decoding.answer(ask(3, "y" * 200, max_tokens=8, cache_scope="s-3"))
        decoding.close()
        assert list((tmp_path / "kv").rglob("s-3*"))

    def test_more_sessions_than_slots_take_turns_without_computing_anything_again(
        self, noise: Path, tmp_path: Path
    ) -> None:
        decoding = Decoding(noise, slots=2, kv_dir=str(tmp_path))
        for n in range(16):
            name = chr(ord("a") + n % 8)
            decoding.answer(ask(n, name * 200, max_tokens=4, cache_scope=f"s-{name}"))
        assert [decoding.done(n).cached_tokens > 200 for n in range(16)] == [False] * 8 + [True] * 8
        decoding.close()


def test_one_in_the_background_waits_for_people_and_then_goes_on(
    decoding: Decoding, isolated: Callable[[str], str]
) -> None:
    decoding.submit(ask(1, "job", max_tokens=8, background=True))
    decoding.decoder.step(), decoding.decoder.step()
    decoding.submit(ask(2, "person", max_tokens=8))
    decoding.run()
    order = [said.request_id for said in decoding.said if isinstance(said, wire.GenerationDone)]
    assert (order, decoding.text(1), decoding.text(2)) == ([2, 1], isolated("job"), isolated("person"))


def test_one_in_the_background_makes_way_for_somebody_who_is_only_on_his_way(
    decoding: Decoding, isolated: Callable[[str], str]
) -> None:
    decoding.submit(ask(1, "job", max_tokens=8, background=True))
    for _ in range(3):
        decoding.decoder.step()
    before = decoding.text(1)
    decoding.cancellations.expect(2, urgent=True)
    for _ in range(5):
        assert decoding.decoder.step(), "it has something to compute"
        assert decoding.text(1) == before
    decoding.cancellations.take_up(2)
    decoding.run()
    assert decoding.text(1) == isolated("job")


@pytest.mark.parametrize(
    ("options", "threads"),
    [({"background": True}, (1, 2)), ({"background": True, "draft": True}, (2, 3)), ({}, (2, 3)),
     ({"background": True, "recompute": True}, (2, 3))],
    ids=["job", "draft", "person", "repeatable"],
)  # fmt: skip
def test_what_is_in_the_background_leaves_a_core_to_whoever_comes(
    noise: Path, options: dict[str, bool], threads: tuple[int, int]
) -> None:
    decoding = Decoding(noise, threads=2, threads_batch=3)
    decoding.submit(ask(1, "job", max_tokens=8, **options))
    decoding.decoder.step()
    sequence = decoding.decoder._answers[1].sequence
    assert sequence.slot is not None
    handle = decoding.decoder._kv_memory.context(sequence.slot).handle
    assert (api.llama_n_threads(handle), api.llama_n_threads_batch(handle)) == threads
    decoding.submit(ask(2, "person", max_tokens=8))
    decoding.run()
    decoding.close()


def test_a_whole_answer_comes_in_one_piece(decoding: Decoding) -> None:
    prompt = SHARED * 3 + "b"
    written = decoding.answer(ask(1, prompt, max_tokens=8, temperature=0.0))
    decoding.said.clear()
    assert decoding.answer(ask(2, prompt, max_tokens=8, temperature=0.0, whole=True)) == written
    delta, done = decoding.said
    assert delta == wire.GenerationDelta(request_id=2, texts=(written,))
    assert (decoding.done(2), decoding.done(2).completion_tokens) == (done, 8)


@pytest.mark.parametrize("whole", [False, True])
def test_a_whole_answer_that_is_nobodys_is_not_kept_beyond_its_slot(noise: Path, whole: bool) -> None:
    decoding = Decoding(noise, slots=1)
    for number, prompt in enumerate("abcdeb"):
        decoding.answer(ask(number, prompt * 200, max_tokens=1, whole=whole))
    assert (decoding.done(5).cached_tokens > 100) is not whole
    decoding.close()


def test_who_waits_in_the_worker_is_told_his_place(decoding: Decoding) -> None:
    decoding.submit(*(ask(n, str(n), max_tokens=8) for n in range(6)))
    decoding.run()
    places = [(said.request_id, said.position) for said in decoding.said if isinstance(said, wire.GenerationQueued)]
    assert places == [(4, 1), (5, 2), (5, 1)] or places == [(4, 1), (5, 2)]
