"""Starts the daemon when nobody answers: exactly one, however many clients come at once.

    connect ─ refused ─> flock spawn.lock ─> connect again ─ refused ─> bind, listen, rename
                                                                        start the daemon with the listening socket
                                                                        release the lock
    connect <───────────────────────────────────────────────────────────┘   the request waits in the backlog

The lock is held for milliseconds, because the socket takes requests before the daemon runs. It dies with its
descriptor, so a client killed at any step leaves nothing that matters. The daemon itself holds another lock for life
(`paths.lock_file`); a second one exits 75.
"""

from __future__ import annotations

import os
import sys
import time

from agentgw.local import sockets
from agentgw.local.directories import advice_about, prepare, private_umask, quoted
from agentgw.local.environment import for_daemon
from agentgw.local.sockets import bind_socket
from agentgw.protocol.errors import AlreadyRunning, ConfigRefused, DaemonUnreachable, DirectoryRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence
    from typing import Final

    from agentgw.local.paths import Paths
    from agentgw.protocol.errors import AgentgwError

# The holder needs milliseconds; 15 s is for a machine that swaps.
LOCK_TIMEOUT_S: Final = 15.0
# Time that a failing daemon gets to say why.
REASON_TIMEOUT_S: Final = 10.0
# A live daemon whose socket file was removed publishes it again within 5 s.
REPUBLISH_TIMEOUT_S: Final = 8.0
LOG_LINES: Final = 20
_LONGEST_WAIT_S: Final = 0.02
# The daemon's side of the hand-over: systemd's SD_LISTEN_FDS_START.
_LISTEN_FD: Final = 3
_ERROR_PREFIX: Final = "agentgw: "


class Spawned:
    """A daemon this process started, until it answers: its pid and the pipe it complains into.

    `failure` is for when it did not answer; `close` for when it did.
    """

    __slots__ = ("_pipe", "pid")

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe

    def close(self) -> None:
        """Lets go of the pipe."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def failure(self, paths: Paths) -> AgentgwError:
        """The reason why the daemon did not come up, as the error to raise. Waits a bounded time for its stderr."""
        text, status = self._stderr_tail()
        self.close()
        lines = [line for line in text.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith(_ERROR_PREFIX)), "").removeprefix(_ERROR_PREFIX)
        if reason and status == ConfigRefused.exit_status:
            return ConfigRefused(reason, hint=None)
        if status == AlreadyRunning.exit_status:
            return AlreadyRunning(reason, hint=None) if reason else AlreadyRunning("another daemon is running")
        # Without words of its own: the last line of a traceback, or how the process ended.
        reason = reason or (lines[-1].strip() if lines else _describe(status))
        return with_log(DaemonUnreachable(f"the daemon did not start: {reason}"), paths)

    def _stderr_tail(self) -> tuple[str, int | None]:
        """The text that the daemon wrote, and its exit status (negative for a signal, None when it still runs)."""
        import select

        deadline = time.monotonic() + REASON_TIMEOUT_S
        said = b""
        status: int | None = None
        open_ended = self._pipe >= 0
        while time.monotonic() < deadline:
            # Looked at before the pipe is, so that what was written before the end is still read.
            status = self._poll() if status is None else status
            ready = open_ended and bool(select.select([self._pipe], [], [], 0.01)[0])
            if ready:
                read = os.read(self._pipe, 65536)
                said += read
                open_ended = bool(read)
            elif status is not None:
                # A worker it left behind may hold the pipe open for ever.
                break
            elif not open_ended:
                time.sleep(0.005)
        return said.decode("utf-8", "replace"), status

    def _poll(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Reaped already, by whoever runs in this process with us: its words are all there is.
            return 1
        return os.waitstatus_to_exitcode(status) if pid else None


def _describe(status: int | None) -> str:
    if status is None:
        return "it closed the connection and goes on running"
    return f"killed by signal {-status}" if status < 0 else f"exit status {status} and no message"


def with_log(error: DaemonUnreachable, paths: Paths) -> DaemonUnreachable:
    """The error with the last lines of the daemon's log as a note."""
    from agentgw.local.files.logtail import tail

    try:
        lines = tail(paths.log_file, LOG_LINES)
    except OSError:
        lines = []
    if lines:
        error.add_note("\n".join((f"the last lines of {paths.log_file}:", *lines)))
    return error


def connect_or_spawn(
    paths: Paths, *, warm: bool = False, command: Sequence[str] | None = None
) -> tuple[_socket.socket, Spawned | None]:
    """A connection, and the daemon if this process had to start it.

    That the connection exists does not say that the daemon came up: the first reply does. `warm` has it start a
    worker for the default model at once. `command` replaces the daemon's command line.
    """
    connection = sockets.connect_own(paths)
    if connection is not None:
        return connection, None
    prepare(paths)
    lock = _take_lock(paths.spawn_lock)
    try:
        connection = sockets.connect_own(paths)
        if connection is not None:
            return connection, None
        _clear_leftovers(paths.run_dir)
        listener = bind_socket(paths)
        try:
            spawned = start_daemon(listener.fileno(), warm=warm, command=command)
        finally:
            listener.close()
    finally:
        os.close(lock)
    connection = sockets.connect_own(paths)
    if connection is None:
        raise spawned.failure(paths)
    return connection, spawned


def _take_lock(path: str) -> int:
    """The descriptor that holds the lock; closing it lets go.

    Raises DaemonUnreachable after `LOCK_TIMEOUT_S`, and DirectoryRefused where there can be no lock.
    """
    import fcntl

    try:
        with private_umask():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        hint = advice_about(error, f"look at it, then run: rm {quoted(path)}")
        raise DirectoryRefused(f"{path} cannot be opened ({error.strerror})", hint=hint) from None
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    wait_s = 0.001
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            os.close(descriptor)
            raise DaemonUnreachable(
                f"another client has been starting the daemon for {LOCK_TIMEOUT_S:.0f} seconds",
                hint=f"see who holds {path}",
            ) from None
        return descriptor


def _clear_leftovers(directory: str) -> None:
    """Removes half-made sockets of clients that were killed; the lock is held, so no client is making one."""
    for name in os.listdir(directory):
        pid = name.removeprefix(".tmp.")
        if pid == name or not pid.isdigit():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            os.unlink(os.path.join(directory, name))
        except OSError:
            continue


def start_daemon(listener: int, *, warm: bool = False, command: Sequence[str] | None = None) -> Spawned:
    """Starts the daemon with the listening socket as descriptor 3 and a pipe as its standard error.

    It gets a session of its own, default signal dispositions and an empty signal mask, no other descriptors of
    ours, and the scrubbed environment; it changes to `/` itself.
    """
    import fcntl
    import signal

    arguments = list(command) if command is not None else daemon_command("--activated")
    if warm:
        arguments.append("--prewarm")
    reader, writer = os.pipe()
    # Above 3, so that no dup2 below overwrites a descriptor that a later one needs.
    sources = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (writer, listener)]
    os.close(writer)
    _keep_from_children()
    try:
        pid = os.posix_spawn(
            arguments[0],
            arguments,
            for_daemon(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, sources[0], 2),
                (os.POSIX_SPAWN_DUP2, sources[1], _LISTEN_FD),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        os.close(reader)
        raise DaemonUnreachable(
            f"the daemon cannot be started: {arguments[0]}: {error.strerror}", hint="install agentgw again"
        ) from None
    finally:
        for descriptor in sources:
            os.close(descriptor)
    return Spawned(pid, reader)


def daemon_command(*flags: str) -> list[str]:
    """The daemon's command line: the same interpreter, and no module from the working directory."""
    return [sys.executable, "-P", "-m", "agentgw_daemon", *flags]


def _keep_from_children() -> None:
    """Marks every descriptor but the standard ones close-on-exec: whoever started us may have left some open."""
    for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd"):
        descriptor = int(name)
        if descriptor > 2:
            try:
                os.set_inheritable(descriptor, False)
            except OSError:
                # The listing's own.
                continue
