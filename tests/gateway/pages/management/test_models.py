"""Models as a page: their buttons, downloads that outlive it, and names that are text to it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
import trio.testing

from agentgw.protocol.calls.models import ModelList, ModelRefParams
from agentgw.protocol.calls.shared import Done
from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.events import ModelProgress
from agentgw.protocol.types import Model
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import EVIL, Visitor, text_of

pytestmark = pytest.mark.anyio


class Models:
    """`model.*` of these, and what was asked of them. A pull tells of half of it and waits to be let go on."""

    def __init__(self, *models: Model) -> None:
        self.asked: list[tuple[str, str]] = []
        self.go_on = trio.Event()
        self.half_way = trio.Event()
        self.error: Exception | None = None
        self._models = models

    def handlers(self) -> dict[str, Handler]:
        return {
            "model.list": self.list, "model.load": self.load, "model.unload": self.unload,
            "model.default": self.default, "model.pull": self.pull,
        }  # fmt: skip

    def list(self, request: Any, params: Any) -> ModelList:
        return ModelList(models=self._models)

    def load(self, request: Any, params: ModelRefParams) -> Model:
        self.asked.append(("load", params.model))
        return model()

    def unload(self, request: Any, params: ModelRefParams) -> Done:
        self.asked.append(("unload", params.model))
        return Done()

    def default(self, request: Any, params: ModelRefParams) -> Model:
        self.asked.append(("default", params.model))
        return model()

    async def pull(self, request: Any, params: ModelRefParams) -> Model:
        self.asked.append(("pull", params.model))
        await request.events.notify(ModelProgress(model=params.model, done_bytes=5_000_000, total_bytes=10_000_000))
        self.half_way.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return model()


def model(**more: Any) -> Model:
    return Model(**{"name": "smollm2", "state": "available", "source": "builtin", **more})


async def test_each_model_has_the_buttons_of_its_state() -> None:
    made_of = Models(
        model(default=True, state="loaded"), model(name="b", size_bytes=98_000_000),
        model(name="c", state="not_pulled"), model(name="d", source="provider"),
    )  # fmt: skip
    async with opened(made_of.handlers()) as made:
        body = (await Visitor(made).get("/models")).body.decode()
    shown = [words for words in (
        "Unload: smollm2", "Load: smollm2", "Make default: smollm2", "Load: b", "Make default: b", "Pull: c", "Load: c",
        "Load: d", "Make default: d",
    ) if f'"{words}"' in body]  # fmt: skip
    assert shown == ["Unload: smollm2", "Load: b", "Make default: b", "Pull: c", "Make default: d"]
    assert "98 MB" in body


async def test_what_finds_documents_is_not_offered_to_answer() -> None:
    made_of = Models(
        model(name="finds", embedder=True),
        model(name="may-find", embedder=True, state="not_pulled"),
        model(name="says"),
    )
    async with opened(made_of.handlers()) as made:
        body = (await Visitor(made).get("/models")).body.decode()
    offered = re.findall(r'name="model" value="([^"]*)"><input type="hidden" name="to" value="([^"]*)"', body)
    assert offered == [("may-find", "pull"), ("says", "load"), ("says", "default")]


async def test_without_models_the_page_says_how_to_get_one() -> None:
    async with opened(Models().handlers()) as made:
        assert "There is no model yet. Pull one below" in text_of(await Visitor(made).get("/models"))


async def test_a_button_does_it_to_the_model_that_it_names() -> None:
    made_of = Models(model())
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        for to in ("load", "unload", "default"):
            reply = await visitor.post("/models", {"model": "a/b:c", "to": to})
            assert (reply.status, reply.headers["location"]) == (303, "/models")
        for fields in ({"model": "a", "to": "remove"}, {"model": "a"}, {"model": " ", "to": "pull"}, {"to": "load"}):
            assert (await visitor.post("/models", fields)).status == 400
    assert made_of.asked == [("load", "a/b:c"), ("unload", "a/b:c"), ("default", "a/b:c")]


async def test_a_download_goes_on_without_its_page_and_tells_how_far_it_is() -> None:
    made_of = Models(model(name="c", state="not_pulled"))
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        assert (await visitor.post("/models", {"model": "c", "to": "pull"})).status == 303
        await made_of.half_way.wait()
        text = text_of(await visitor.get("/models", HX_Request="true"))
        assert "Pulling c: 5.0 MB of 10 MB" in text
        again = await visitor.post("/models", {"model": "c", "to": "pull"}, HX_Request="true")
        assert "being downloaded already" in text_of(again)
        made_of.go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        assert "Pulling" not in text_of(await visitor.get("/models"))
    assert made_of.asked == [("pull", "c")]


async def test_a_download_that_fails_says_why_and_can_be_begun_again() -> None:
    made_of = Models(model())
    made_of.error = ModelUnavailable("the disk is full", hint="make room", model="c", reason="disk")
    made_of.go_on.set()
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        for _ in range(2):
            assert (await visitor.post("/models", {"model": "c", "to": "pull"})).status == 303
            await trio.testing.wait_all_tasks_blocked()
        text = text_of(await visitor.get("/models"))
    assert text.count("c was not pulled: the disk is full. make room") == 1


async def test_failures_that_are_told_are_bounded() -> None:
    made_of = Models()
    made_of.error = ModelUnavailable("no", model="c", reason="unknown")
    made_of.go_on.set()
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        for number in range(25):
            await visitor.post("/models", {"model": f"m{number}", "to": "pull"})
            await trio.testing.wait_all_tasks_blocked()
        told = text_of(await visitor.get("/models")).count("was not pulled")
    assert told == 20


async def test_nothing_of_a_model_is_read_as_html() -> None:
    made_of = Models(model(name=EVIL, description=EVIL, source=EVIL, architecture=EVIL, licence=EVIL))
    made_of.error = ModelUnavailable(EVIL, hint=EVIL, model=EVIL, reason=EVIL)
    made_of.go_on.set()
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        await visitor.post("/models", {"model": EVIL, "to": "pull"})
        await trio.testing.wait_all_tasks_blocked()
        body = (await visitor.get("/models")).body.decode()
    assert "was not pulled" in body
    assert "<img" not in body
    assert 'onerror="' not in body
