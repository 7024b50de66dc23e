"""The daemon's log: one rotated file of mode 0600 that never holds a key.

Every line starts with UTC time, level and logger; the lines of a traceback are indented, and characters that are
not seen are escaped, so no text from outside can pass for a line of ours or move a reader's cursor. What users and
models say is logged at DEBUG only: that is the callers' rule.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import sys
import threading
import time
from io import TextIOWrapper
from types import TracebackType
from typing import Final

from agentgw.local.directories import advice_about
from agentgw.protocol.errors import DirectoryRefused
from agentgw.protocol.visible import pattern
from agentgw_daemon.config.settings import LogSection
from agentgw_daemon.text.secrets import Secrets

_BEARER: Final = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
_HEADER: Final = re.compile(
    r"(?i)\b((?:authorization|x-api-key)['\"]?\s*[:=,]\s*b?['\"]?(?:(?:basic|bearer|digest|token)\s+)?)[^\s'\",}\]]+"
)
_UNSEEN: Final = re.compile(f"[{pattern()}]")

# syslog(3)'s numbers.
_PRIORITIES: Final = (
    (logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7),
)  # fmt: skip

log = logging.getLogger(__name__)


def new_error_id() -> str:
    """An id that a client is told of an unexpected exception, and that finds it in the log."""
    return os.urandom(6).hex()


def log_unexpected(logger: logging.Logger, error: BaseException, doing: str) -> str:
    """Log a bug with its traceback, once; gives the error id."""
    error_id = new_error_id()
    logger.error("error %s while %s", error_id, doing, exc_info=error)
    return error_id


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO agentgw_daemon.app: message`, redacted."""

    def __init__(self, secrets: Secrets, layout: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
        super().__init__(layout)
        self._secrets: Final = secrets

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """RFC 3339 in UTC with milliseconds."""
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, or a line and its indented traceback."""
        text = self._secrets.redact(super().format(record))
        text = _HEADER.sub(r"\1***", _BEARER.sub(r"\1***", text))
        text = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
        return text.replace("\n", "\n    ")


class JournalFormatter(LineFormatter):
    """`<6>agentgw_daemon.app: message`: journald takes the priority from it and has the time itself (sd-daemon(3))."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__(secrets, "%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """As `LineFormatter`; each line of a traceback is an entry of its own, with its priority."""
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


def leads_to_journal(descriptor: int, stream: str) -> bool:
    """True when journald reads the descriptor; `stream` is JOURNAL_STREAM (systemd.exec(5)), its device and inode."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


class _LogFile(logging.handlers.RotatingFileHandler):
    """A rotated file that is 0600 from its first byte, and that may stand in for standard error."""

    def __init__(self, path: str, settings: LogSection) -> None:
        self._holds_stderr = False
        super().__init__(
            path, maxBytes=settings.max_bytes, backupCount=settings.backups, encoding="utf-8", errors="backslashreplace"
        )

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self.baseFilename, flags, 0o600)
        # Under any umask, and for a file that was made looser by hand.
        os.fchmod(fd, 0o600)
        if self._holds_stderr:
            os.dup2(fd, 2)
        return TextIOWrapper(open(fd, "ab"), encoding=self.encoding, errors=self.errors)

    def hold_stderr(self) -> None:
        """Let whatever is written to standard error end up here, after every rotation too."""
        self._holds_stderr = True
        with self.lock or contextlib.nullcontext():
            if self.stream is not None:
                os.dup2(self.stream.fileno(), 2)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """A full disk costs log lines, not the daemon; there is nowhere left to say so."""


class DaemonLog:
    """The running log. `apply` takes a reloaded configuration over; `close` undoes everything."""

    def __init__(
        self, path: str, settings: LogSection, *, secrets: Secrets | None = None, foreground: bool = False,
        journal: bool = False,
    ) -> None:  # fmt: skip
        """Open the file; in the foreground, standard error shows the same lines, and `journal` reads them there.

        What `secrets` hold, also later, becomes stars. Raises DirectoryRefused when the file cannot be written.
        """
        secrets = secrets or Secrets()
        try:
            self._file = _LogFile(path, settings)
        except OSError as error:
            hint = advice_about(error, "check its owner and the directory's mode")
            raise DirectoryRefused(f"cannot write the log {path}: {error.strerror}", hint=hint) from None
        self._file.setFormatter(LineFormatter(secrets))
        handlers: list[logging.Handler] = [self._file]
        if foreground or journal:
            shown = logging.StreamHandler(sys.stderr)
            shown.setFormatter(JournalFormatter(secrets) if journal else LineFormatter(secrets))
            handlers.append(shown)
        for handler in handlers:
            logging.root.addHandler(handler)
        self._handlers = handlers
        self._hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook)
        sys.excepthook, sys.unraisablehook, threading.excepthook = _on_exception, _on_unraisable, _on_thread_exception
        # Stray warnings belong in the log, not into a pipe that a client reads.
        logging.captureWarnings(True)
        self.apply(settings)

    def apply(self, settings: LogSection) -> None:
        """Take over level and sizes."""
        logging.getLogger("agentgw_daemon").setLevel(settings.level.upper())
        # Libraries log addresses and headers at INFO and DEBUG, and what users said with them.
        logging.root.setLevel(logging.WARNING)
        self._file.maxBytes, self._file.backupCount = settings.max_bytes, settings.backups

    def leave_stderr(self) -> None:
        """Show nothing more on standard error: the last line there says why the daemon ended."""
        for handler in self._handlers[1:]:
            logging.root.removeHandler(handler)

    def hold_stderr(self) -> None:
        """Point file descriptor 2 at the log file; closes whatever it was."""
        self._file.hold_stderr()

    def close(self) -> None:
        """Flush, close, and put the interpreter's own hooks back."""
        sys.excepthook, sys.unraisablehook, threading.excepthook = self._hooks
        logging.captureWarnings(False)
        for handler in self._handlers:
            logging.root.removeHandler(handler)
            handler.close()


def _on_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log_unexpected(log, error, "running")


def _on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    # No repr of the object: it is half destroyed, and may hold what a user said.
    if unraisable.exc_value is not None:
        log_unexpected(log, unraisable.exc_value, f"ending a {type(unraisable.object).__name__}")


def _on_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        log_unexpected(log, args.exc_value, f"running thread {args.thread.name if args.thread else '?'}")
