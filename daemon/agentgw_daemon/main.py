"""`agentgw-daemon`: from exec to serving, in the one order that is safe.

    umask · no sudo · paths · directories · configuration · lock · log · socket · heavy imports · serve

What fails before serving is one line on standard error and an exit status, never a traceback; a client that
started us reads that line from a pipe. The lock comes before the log and the socket, so a second daemon leaves
no trace. Heavy imports come last, so that refusals are quick, and none come later, so that an upgrade of the
package under a running daemon cannot mix versions.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from agentgw.local.paths import Paths
    from agentgw.protocol.errors import AgentgwError
    from agentgw_daemon.lifecycle.options import DaemonOptions
    from agentgw_daemon.lifecycle.started import Started
    from agentgw_daemon.observability.log import DaemonLog

_INTERRUPTED: Final = 130
# The guard of a socket's name looks every 5 s, and makes sure for 3 s.
_HANDOVER_S: Final = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; gives its exit status."""
    # Before any import that may write a compiled file, and before any file of ours.
    os.umask(0o077)
    from agentgw_daemon.lifecycle.options import parse

    with contextlib.ExitStack() as closing:
        launch = _Launch(closing)
        try:
            options = parse(sys.argv[1:] if arguments is None else arguments)
            return launch.check() if options.check else _run(launch.start(options))
        except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001  # where any error ends
            return launch.end(error)


class _Launch:
    """One start: acquires resources in order and releases them through `closing`."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._closing = closing
        self._paths: Paths | None = None
        self._log: DaemonLog | None = None
        self._stderr_is_log = False
        self._journal = False

    def start(self, options: DaemonOptions) -> Started:
        """Do everything up to the heavy imports. Raises LocalError."""
        from agentgw import __version__
        from agentgw.local import directories
        from agentgw.local.environment import Environment
        from agentgw.local.paths import Paths
        from agentgw_daemon.config import load as config
        from agentgw_daemon.config.settings import secrets_of
        from agentgw_daemon.lifecycle import activation, lock, process
        from agentgw_daemon.lifecycle.notify import Notifier
        from agentgw_daemon.lifecycle.socket_name import SocketName
        from agentgw_daemon.lifecycle.started import Started
        from agentgw_daemon.observability.log import DaemonLog, leads_to_journal
        from agentgw_daemon.text.secrets import Secrets

        giver = activation.giver_of(os.environ, os.getpid()) if options.activated else "nobody"
        notifier = Notifier.taken_from(os.environ, os.getpid())
        self._journal = leads_to_journal(2, os.environ.pop("JOURNAL_STREAM", ""))
        environ = dict(os.environ)
        environment = Environment(environ)
        directories.refuse_sudo(environment)
        self._paths = paths = Paths(environment)
        process.settle(own_session=giver == "client")
        handed = None if giver == "nobody" else activation.inherited_socket()
        if giver == "client":
            activation.close_inherited()
        elif handed is None and options.activated:
            handed = activation.launchd_socket()
            giver = "nobody" if handed is None else "service"
        directories.prepare(paths)
        loaded = config.load(paths.config_file, environ, options.flags)
        instance = _new_instance()
        # Requests wait in a service manager's socket. The daemon that ran before it came sees that its name is taken,
        # and drains; ending with "already running" would only have us started again and again.
        patience_s = _HANDOVER_S + loaded.settings.limits.shutdown_s if giver == "service" else lock.LEAVING_S
        held = lock.acquire(paths.lock_file, instance=instance, version=__version__, patience_s=patience_s)
        self._closing.callback(held.close)
        secrets = Secrets(configuration=secrets_of(loaded.settings, environ))
        self._log = DaemonLog(
            paths.log_file, loaded.settings.log, secrets=secrets, foreground=options.foreground, journal=self._journal
        )
        self._closing.callback(self._log.close)
        if handed is None:
            name, handed = SocketName.bind(paths)
        else:
            name = SocketName(paths, managed=giver == "service")
        self._closing.callback(name.remove)
        if options.pidfile:
            self._closing.enter_context(process.pid_file(options.pidfile))
        return Started(
            paths=paths,
            config=loaded,
            environ=environ,
            listener=handed,
            name=name,
            lock=held,
            log=self._log,
            secrets=secrets,
            pid=os.getpid(),
            instance=instance,
            started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            started_monotonic_s=time.monotonic(),
            started_boottime_s=process.boottime(),
            prewarm=options.prewarm,
            foreground=options.foreground,
            scheduler=options.scheduler,
            jobs_file=options.scheduler_config or os.path.join(paths.config_dir, "jobs.yaml"),
            serving=self._release_client if giver == "client" else _nothing,
            notifier=notifier,
            flags=options.flags,
        )

    def check(self) -> int:
        """Read the configuration as a start would, and nothing else. Raises LocalError."""
        from agentgw.local.environment import Environment
        from agentgw.local.paths import Paths
        from agentgw_daemon.config import load as config

        environ = dict(os.environ)
        config.load(Paths(Environment(environ)).config_file, environ)
        return 0

    def end(self, error: BaseException) -> int:
        """Say in one line why we end; gives the exit status."""
        from agentgw.protocol.errors import AgentgwError

        # Nurseries wrap what ends them.
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, KeyboardInterrupt):
            return _INTERRUPTED
        return self._refuse(error) if isinstance(error, AgentgwError) else self._crash(error)

    def _refuse(self, error: AgentgwError) -> int:
        if self._log is not None:
            import logging

            self._log.leave_stderr()
            logging.getLogger(__name__).error("not running: %s", error)
        if not self._stderr_is_log:
            _complain(error.message, error.advice, journal=self._journal)
        return error.exit_status

    def _crash(self, error: BaseException) -> int:
        import logging

        from agentgw_daemon.observability.log import log_unexpected

        self._open_log()
        if self._log is not None:
            self._log.leave_stderr()
        error_id = log_unexpected(logging.getLogger(__name__), error, "running the daemon")
        if not self._stderr_is_log:
            where = f"{self._paths.log_file} has it" if self._log is not None and self._paths else "there is no log yet"
            _complain(f"internal error {error_id} ({type(error).__name__})", where, journal=self._journal)
        return 1

    def _open_log(self) -> None:
        """Opens a log for a bug before the log was due: as good a one as there can be, or none that shows on
        stderr.
        """
        import logging

        from agentgw.protocol.errors import LocalError
        from agentgw_daemon.config.settings import LogSection
        from agentgw_daemon.observability.log import DaemonLog

        if self._log is None and self._paths is not None:
            with contextlib.suppress(LocalError):
                self._log = DaemonLog(self._paths.log_file, LogSection())
                self._closing.callback(self._log.close)
        if self._log is None:
            logging.root.addHandler(logging.NullHandler())

    def _release_client(self) -> None:
        """The client that started us reads our standard error until it closes: from now on that is the log."""
        assert self._log is not None
        self._log.hold_stderr()
        self._stderr_is_log = True


def _run(started: Started) -> int:
    """Import the rest of the daemon and serve; gives the exit status."""
    import gc

    from agentgw_daemon.lifecycle.process import leave_out_command_lines

    leave_out_command_lines()
    # What is imported stays: looking through it again and again for garbage, and once more when the process ends, took
    # a quarter of the processor time of a daemon that starts and stops.
    gc.disable()
    import trio

    from agentgw.protocol.errors import ConfigRefused
    from agentgw_daemon import app
    from agentgw_daemon.observability import failpoint

    gc.freeze()
    gc.enable()
    try:
        failpoint.arm(started.environ.get("AGENTGW_FAIL", ""))
    except ValueError as error:
        raise ConfigRefused(str(error), hint="correct or unset it") from None
    return trio.run(app.serve, started)


def _new_instance() -> str:
    import uuid

    return str(uuid.uuid4())


def _nothing() -> None:
    """Does nothing: the program that started us does not wait."""


def _complain(what: str, hint: str, *, journal: bool) -> None:
    line = f"agentgw: {what}. {hint}" if hint else f"agentgw: {what}"
    if journal:
        # The priority of an error (sd-daemon(3)).
        line = f"<3>{line}"
    # The client may be gone, and its pipe with it.
    with contextlib.suppress(OSError):
        os.write(2, " ".join(line.split("\n")).encode("utf-8", "replace") + b"\n")
