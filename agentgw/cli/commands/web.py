"""`agentgw web`: opens the web pages in a browser; without --open the predecessor's name for `serve --port`."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import connect
from agentgw.cli.commands.serve import become_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

_PORT: Final = 8080


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--open", action="store_true", help="open the pages in a browser, signed in")
    parser.add_argument("--port", metavar="P", type=int, default=_PORT, help="without --open: the TCP port (8080)")
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="its address (127.0.0.1)")


def run(args: Namespace) -> int:
    """Opens a browser, or becomes the daemon with HTTP on the port."""
    if not args.open:
        output.notice(f"`agentgw web` is the old spelling of `agentgw serve --port {args.port}`, which runs now")
        become_daemon([f"--port={args.port}", f"--host={args.host}"])
    return _open()


def _open() -> int:
    with connect() as client:
        link = client.call("web.sign_in")
    # It brings a tenth of a second of imports with it.
    import webbrowser

    opened = webbrowser.open(link["url"])
    what = "opened in your browser" if opened else "no browser could be started; open this yourself"
    output.notice(f"{what}, the link works once within {link['valid_s']:.0f} s")
    output.line(link["url"])
    return 0
