"""Models as a page: pulled with progress, loaded, unloaded, and the default one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.models import ModelRefParams
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http.messages import HttpAnswer
    from agentgw_daemon.gateway.routing.exchange import Exchange

_PATH: Final = "/models"
_METHODS: Final = {"load": "model.load", "unload": "model.unload", "default": "model.default"}


async def models(exchange: Exchange) -> HttpAnswer:
    """The page, or its changing part for the page that looks again."""
    listed = (await exchange.call("model.list", NoParams())).models
    secrets = exchange.gateway.daemon.services.secrets
    pulls: list[dict[str, Any]] = [
        {
            "model": pull.model, "done": pull.done_bytes, "total": pull.total_bytes,
            "error": secrets.redact(pull.error.message) if pull.error else "",
            "hint": secrets.redact(pull.error.hint or "") if pull.error else "",
        }
        for pull in exchange.gateway.pulls.listed()
    ]  # fmt: skip
    shown = {"models": listed, "pulls": pulls, "pulling": {pull["model"] for pull in pulls if not pull["error"]}}
    if exchange.is_fragment:
        return await fragment(exchange, "models_now.html", **shown)
    return await page(exchange, "models.html", **shown)


async def change(exchange: Exchange) -> HttpAnswer:
    """Loads or unloads a model, makes it the default, or begins to download it."""
    params = bind(ModelRefParams, {"model": exchange.fields.get("model", "").strip()})
    to = exchange.fields.get("to", "")
    if to == "pull":
        run = partial(exchange.call_into, "model.pull", params)
        exchange.gateway.pulls.start(params.model, run, exchange.gateway.nursery)
    elif to in _METHODS:
        await exchange.call(_METHODS[to], params)
    else:
        raise InvalidParams(
            "this cannot be done with a model", path="to", reason="must be pull, load, unload or default"
        )
    return moved(exchange, _PATH)


MODELS: Final = (
    Route(method="GET", path=_PATH, page=True, respond=models, doc="Models, and downloads of them."),
    Route(
        method="POST", path=_PATH, page=True, body="form", respond=change,
        doc="Does `to` with the `model`: pull, load, unload or default.",
    ),
)  # fmt: skip
