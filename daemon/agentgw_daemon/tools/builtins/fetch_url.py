"""`fetch_url`: the text of a page on the public internet, and of no other address."""

from __future__ import annotations

import codecs
import functools
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

import trio

from agentgw_daemon.text.page_text import page_text
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.builtins.preview import exact_details
from agentgw_daemon.tools.tool import (
    Arguments,
    CallFailed,
    CallPreview,
    FunctionTool,
    ToolContext,
    ToolSpec,
    bounded,
)
from agentgw_daemon.tools.web.addresses import is_public

if TYPE_CHECKING:
    from agentgw_daemon.tools.web.web import Network, WebResponse

TIME_S: Final = 10.0
# Browsers and servers agree on about this much.
MAX_URL_CHARS: Final = 2048
# Markup is most of a page: so much of it gives about what a result may hold.
MAX_BODY_BYTES: Final = 512 << 10
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXTS: Final = frozenset({"application/json", "application/xml", "application/javascript", "application/yaml", ""})
# Names after codecs.lookup. Others of Python's codecs are slow on purpose-made input (punycode, idna) or no charsets.
_CHARSETS: Final = frozenset({
    "utf-8", "ascii", "iso8859-1", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15", "cp1250", "cp1251",
    "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "koi8-r", "koi8-u", "utf-16", "utf-16-le", "utf-16-be",
    "shift_jis", "euc_jp", "iso2022_jp", "gbk", "gb2312", "gb18030", "big5", "euc_kr",
})  # fmt: skip


def text_of(reply: WebResponse) -> str | None:
    """The reply's text, or None when it is none."""
    kind, _, parameters = reply.content_type.partition(";")
    kind = kind.strip().lower()
    if not (kind.startswith("text/") or kind in _HTML or kind in _TEXTS or kind.endswith(("+json", "+xml"))):
        return None
    text = reply.body.decode(_charset(parameters), "replace")
    if kind in _HTML:
        return page_text(text)
    return None if "\0" in text else text


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            try:
                found = codecs.lookup(value.strip().strip("\"'")[:40]).name
            except (LookupError, ValueError):
                return "utf-8"
            return found if found in _CHARSETS else "utf-8"
    return "utf-8"


def _written(reply: WebResponse) -> str:
    if 300 <= reply.status < 400 and reply.location:
        target = visible_line(reply.location)[:MAX_URL_CHARS]
        raise CallFailed(f"status {reply.status}: moved to {target} (not followed)", untrusted=True)
    text = text_of(reply)
    if reply.status != 200:
        raise CallFailed(f"status {reply.status}\n{bounded(text or '')}".rstrip(), untrusted=True)
    if text is None:
        shown = visible_line(reply.content_type)[:100] or "unknown type"
        raise CallFailed(f"not text: {shown}", untrusted=True)
    if not reply.whole:
        return f"{bounded(text)}\n[the page is longer than the {MAX_BODY_BYTES >> 10} KiB that are read]"
    return text


def fetch_tool(
    network: Network | None = None,
    permits: Callable[[IPv4Address | IPv6Address], bool] = is_public,
    trust: Callable[[], ssl.SSLContext] | None = None,
) -> FunctionTool:
    """The tool. Tests give it another network; nothing that is configured reaches these parameters."""

    async def run(arguments: Arguments, _context: ToolContext) -> str:
        # Imported on first use: httpx costs a daemon that fetches nothing time and memory.
        from agentgw_daemon.tools.web import web

        url = web.parse(arguments["url"])
        try:
            with trio.fail_after(TIME_S):
                context = await trio.to_thread.run_sync(trust or web.tls)
                reach = web.Reach(permits=permits)
                reply = await web.get(url, context, network or web.Internet(), reach, max_bytes=MAX_BODY_BYTES)
        except trio.TooSlowError:
            raise CallFailed(f"{visible_line(url.host)} did not answer in full within {TIME_S:g} s") from None
        return await trio.to_thread.run_sync(functools.partial(_written, reply))

    async def describe(arguments: Arguments, context: ToolContext) -> CallPreview:
        from agentgw_daemon.tools.web import web

        await trio.lowlevel.checkpoint()
        url = web.parse(arguments["url"])
        web.check_literal(url.host, permits)
        # In ASCII: a name in another alphabet can look like one that is trusted.
        host = f"host: {visible_line(url.raw_host.decode('ascii'))}"
        return CallPreview(
            title=f"Fetch {visible_line(arguments['url'])}", details=(host, exact_details(arguments, context)[0])
        )

    return FunctionTool(
        ToolSpec(
            name="fetch_url",
            description="Get the text of a web page (https).",
            parameters={
                "type": "object",
                "properties": {"url": {"type": "string", "maxLength": MAX_URL_CHARS}},
                "required": ["url"],
                "additionalProperties": False,
            },
            effect="network",
            outbound=True,
            untrusted=True,
        ),
        run,
        describe,
    )


FETCH_URL: Final = fetch_tool()
