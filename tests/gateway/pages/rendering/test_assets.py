"""Styles and scripts: kept for good, small, and of nobody else's server."""

from __future__ import annotations

import gzip
import re

import pytest

from agentgw_daemon.gateway.pages.rendering.assets import FOLDER, HTMX, address_of, assets
from tests.gateway.harness import opened
from tests.gateway.pages.harness import Visitor

pytestmark = pytest.mark.anyio

MOST_BYTES = 60_000


async def test_an_asset_is_kept_for_good_under_the_digest_of_its_bytes() -> None:
    found = assets()["page.js"]
    async with opened({}) as made:
        visitor = Visitor(made)
        plain = await visitor.get(found.address)
        assert plain.body == found.body
        assert "immutable" in plain.headers["cache-control"]
        assert plain.headers["content-type"].startswith("text/javascript")
        packed = await visitor.get(found.address, Accept_Encoding="gzip, br")
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == found.body
        known = await visitor.get(found.address, If_None_Match=plain.headers["etag"])
        assert (known.status, known.body) == (304, b"")


async def test_a_part_of_an_asset_is_not_given_and_a_foreign_tag_changes_nothing() -> None:
    async with opened({}) as made:
        visitor = Visitor(made)
        for headers in ({"Range": "bytes=0-1"}, {"Range": "bytes=5-1"}, {"If_None_Match": "W/x"}, {"If_Range": "x"}):
            reply = await visitor.get(address_of("app.css"), **headers)
            assert (reply.status, reply.body) == (200, assets()["app.css"].body), headers


@pytest.mark.parametrize("path", ["0000000000000000/page.js", "x/../../../etc/passwd", "x/%2e%2e%2fassets.py", "x/nix"])
async def test_no_other_file_is_served(path: str) -> None:
    async with opened({}) as made:
        assert (await Visitor(made).get(f"/assets/{path}")).status == 404


def test_all_of_them_together_are_small() -> None:
    assert sum(len(asset.packed) for asset in assets().values()) <= MOST_BYTES


def test_nothing_that_is_ours_names_another_server() -> None:
    ours = [asset for asset in assets().values() if not asset.name.startswith(("htmx", "LICENCES"))]
    for asset in ours:
        named = set(re.findall(rb"\w+://[^\s\"']+", asset.body)) - {b"http://www.w3.org/2000/svg"}
        assert not named, asset.name


def test_what_extends_htmx_comes_in_one_file_with_it() -> None:
    whole, extension = ((FOLDER / name).read_bytes() for name in ("htmx.js", "hx-sse.js"))
    assert assets()[HTMX].body == whole + b"\n" + extension
    assert not {"htmx.js", "hx-sse.js"} & assets().keys()
