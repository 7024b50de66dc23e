"""The least a trio server can do: sends back what it reads on a Unix socket. `python bare_echo.py PATH`."""

from __future__ import annotations

import sys

import trio


async def echo(stream: trio.SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def serve(path: str) -> None:
    listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listening.bind(path)
    listening.listen(16)
    print("ready", flush=True)
    await trio.serve_listeners(echo, [trio.SocketListener(listening)])


if __name__ == "__main__":
    trio.run(serve, sys.argv[1])
