"""An installation of its own for one test: the real binary, started and stopped, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from agentgw_daemon.models.offer.catalogue import STARTER
from tests.e2e.wire import Refused, Wire
from tests.patience import PATIENCE_S, Stopwatch
from tests.starter import embedder_folder, starter_model

T = TypeVar("T")

AGENTGW = str(Path(sys.executable).with_name("agentgw"))
# A prompt that makes the starter model go on and on: it counts, and with a penalty for repeating itself it soon ends.
COUNTING = "Count from 1 to 500: 1, 2, 3, 4,"
ENDLESS = (
    "run", "--system", "", "-o", "temperature=0", "-o", "repeat_penalty=1", "-o", "max_tokens=2000", COUNTING,
)  # fmt: skip
KEY = "a-key-that-is-long-enough-to-be-one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str


class Home:
    """A context manager. Whatever was started in it carries its HOME, so that no process can hide."""

    def __init__(self) -> None:
        # Short: a socket's path has 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="agw-"))
        self.path = self.root / "home"
        self.user = self.root / "user"
        self.work = self.root / "work"
        for made in (self.user, self.work):
            made.mkdir()
        self.environ = {
            "PATH": os.defpath,
            "HOME": str(self.user),
            "LANG": "C.UTF-8",
            "AGENTGW_HOME": str(self.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            # Threads of llama.cpp spin while they wait for each other: on a busy machine two are slower than one.
            "AGENTGW_INFERENCE__THREADS": "1",
            # It would take both cores from the next test's measures and waits.
            "AGENTGW_INFERENCE__CALIBRATE": "false",
        }
        self.agentgw: Sequence[str] = (AGENTGW,)
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.root, onerror=_force)

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.path / "run" / "agentgw.sock"

    @property
    def log(self) -> str:
        """All the daemons of this home have said."""
        file = self.path / "state" / "daemon.log"
        return file.read_text() if file.exists() else ""

    def configure(self, text: str) -> None:
        """Write config.toml."""
        folder = self.path / "config"
        for made in (self.path, folder):
            made.mkdir(mode=0o700, exist_ok=True)
        _write_private(folder / "config.toml", text)

    def add_starter_model(self) -> None:
        """Installs the starter model as `agentgw pull smollm2:135m` leaves it, without the copy."""
        folder = self.path / "data" / "models"
        for made in (self.path, self.path / "data", folder):
            made.mkdir(mode=0o700, exist_ok=True)
        (folder / f"{STARTER.stem}.gguf").symlink_to(starter_model())
        origin = {
            "name": STARTER.name, "source": "index", "size_bytes": STARTER.size_bytes, "sha256": STARTER.sha256,
            "pulled_at": "2026-01-01T00:00:00Z", "licence": STARTER.licence,
        }  # fmt: skip
        _write_private(folder / f"{STARTER.stem}.json", json.dumps(origin))

    def add_embedder(self) -> None:
        """Installs the embedder as `agentgw pull all-minilm-l6-v2` leaves it, without the copy."""
        folder = self.path / "data" / "models"
        for made in (self.path, self.path / "data", folder):
            made.mkdir(mode=0o700, exist_ok=True)
        (folder / "all-minilm-l6-v2").symlink_to(embedder_folder())

    def start(self, *words: str, environ: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[bytes]:
        """An agentgw command that goes on by itself; ended with the test if need be."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # Unbuffered, so that what `heard` leaves is there for `finish`.
        child = subprocess.Popen(
            [*self.agentgw, *words], env=self.environ | (environ or {}), bufsize=0,
            **{"cwd": self.work, **pipes, **more},
        )  # fmt: skip
        self._children.append(child)
        return child

    def finish(
        self, child: subprocess.Popen[bytes], *, said: bytes | None = None, within_s: float = PATIENCE_S
    ) -> Done:
        """The end of what `start` started."""
        out, err = child.communicate(said, timeout=within_s)
        return Done(status=child.returncode, out=(out or b"").decode(), err=(err or b"").decode())

    def run(
        self, *words: str, said: str | None = None, within_s: float = PATIENCE_S, environ: dict[str, str] | None = None,
        **more: Any,
    ) -> Done:  # fmt: skip
        """An agentgw command to its end; `said` is piped into it."""
        stdin = subprocess.DEVNULL if said is None else subprocess.PIPE
        child = self.start(*words, environ=environ, **{"stdin": stdin, **more})
        return self.finish(child, said=None if said is None else said.encode(), within_s=within_s)

    def ask(self, *words: str, said: str | None = None, environ: dict[str, str] | None = None) -> str:
        """Standard output of a command that must succeed without a word on standard error."""
        done = self.run(*words, said=said, environ=environ)
        assert (done.status, done.err) == (0, ""), done
        return done.out

    def call(self, method: str, **params: Any) -> Any:
        """The result of `agentgw call`."""
        return json.loads(self.ask("call", method, json.dumps(params)))

    def connect(self) -> Wire:
        """A connection to the daemon that runs."""
        return Wire(str(self.socket))

    def is_at_rest(self) -> bool:
        """Tells whether the daemon serves, and nobody but whoever asks is connected."""
        try:
            with self.connect() as wire:
                return bool(wire.call("daemon.status")["connections"] == 1)
        except (OSError, Refused):
            return False

    def daemon(self) -> int:
        """The pid of the daemon, which is started if need be."""
        return int(self.ask("start"))

    def serve(self, *words: str, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """A daemon in the foreground, once it serves; its exit status can be had."""
        served = self.log.count("serving on")
        # Nobody reads what it says there: the log file has it too.
        child = self.start("serve", *words, environ=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.log.count("serving on") > served or child.poll() is not None, "the daemon serves")
        assert child.poll() is None, self.log
        return child

    def processes(self) -> dict[int, str]:
        """The command lines of all processes of this home, by pid."""
        found = with_variable("HOME", str(self.user))
        # Without privileges nobody reads the environment of a daemon; its lock names it.
        with contextlib.suppress(OSError, ValueError, KeyError):
            pid = int(json.loads((self.path / "data" / "daemon.lock").read_text())["pid"])
            if "agentgw_daemon --" in command_of(pid):
                found[pid] = command_of(pid)
        return found

    def daemons(self) -> list[int]:
        """The pids of all daemons of this home."""
        return [pid for pid, command in self.processes().items() if "agentgw_daemon --" in command]

    def workers(self) -> list[int]:
        """The pids of all model workers of this home."""
        return [pid for pid, command in self.processes().items() if "agentgw_daemon.workers.model" in command]

    def database_copy(self) -> Path:
        """A copy of the database as it lies there: what a kill left is the next daemon's to recover."""
        copy = self.root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in (self.path / "data").glob("agentgw.db*"):
            shutil.copy(file, copy)
        return copy / "agentgw.db"

    def kill_daemon(self) -> None:
        """Kills the daemon as a power cut would; returns when it is gone."""
        (pid,) = self.daemons()
        kill(pid)

    def stop(self) -> None:
        """End all processes of this home; fails when they do not end by themselves once the daemon is told to."""
        for child in self._children:
            if child.poll() is None and "agentgw_daemon" not in command_of(child.pid):
                child.kill()
        with contextlib.ExitStack() as ends:
            for pid in self.daemons():
                # Waited for by its descriptor first: a look at all processes of the machine takes milliseconds.
                with contextlib.suppress(ProcessLookupError):
                    ends.callback(_wait, os.pidfd_open(pid), within_s=25)
                    os.kill(pid, signal.SIGTERM)
        try:
            until(lambda: not self._alive(), "every process has ended", within_s=25)
        finally:
            left = self._alive()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for child in self._children:
                with child:
                    child.wait(PATIENCE_S)
            self._children.clear()

    def _alive(self) -> dict[int, str]:
        for child in self._children:
            child.poll()
        return self.processes()


def heard(child: subprocess.Popen[bytes], count: int) -> str:
    """The next `count` bytes of a child's standard output, as soon as they are there."""
    assert child.stdout is not None
    said = b""
    while len(said) < count and select.select([child.stdout], [], [], PATIENCE_S)[0]:
        part = os.read(child.stdout.fileno(), count - len(said))
        if not part:
            break
        said += part
    return said.decode()


def model_speaks(home: Home) -> None:
    """Returns when the one turn that runs has its first words. A command whose standard output is a pipe holds them for
    ten seconds, so that a pipe gets one write.
    """
    until(home.socket.exists, "the daemon is started")
    with home.connect() as wire:
        (turn,) = until(lambda: wire.call("turn.list", running=True)["turns"], "the turn runs")
        wire.request("turn.attach", turn_id=turn["turn_id"])
        wire.next("turn.delta")


def is_silent(child: subprocess.Popen[bytes]) -> bool:
    """Tells whether nothing waits on a child's standard output."""
    assert child.stdout is not None
    return select.select([child.stdout], [], [], 0)[0] == []


def with_variable(name: str, value: str) -> dict[int, str]:
    """The command lines of the processes that were started with this variable, by pid."""
    wanted = f"{name}={value}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = command_of(int(folder.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def rss_bytes(pid: int) -> int:
    """Memory of a process that is resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def until(condition: Callable[[], T | None], what: str, *, within_s: float = PATIENCE_S) -> T:
    """The first true value of a condition nothing tells us about; fails when none comes in time."""
    watch = Stopwatch()
    while not (found := condition()):
        late = watch.seconds() > within_s or watch.wall_seconds() > max(within_s, PATIENCE_S)
        assert not late, f"not in {within_s:g} s: {what}"
        select.select([], [], [], 0.01)
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal that ends it, and return when it is gone."""
    with gone(pid):
        os.kill(pid, number)


def _wait(descriptor: int, *, within_s: float) -> None:
    """Returns at the end of a process, or when it takes too long; closes its descriptor."""
    try:
        select.select([descriptor], [], [], within_s)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def gone(pid: int, *, within_s: float = PATIENCE_S) -> Iterator[None]:
    """Waits for the end of a process, which the body brings about. A pid that is used again is not mistaken for
    it.
    """
    descriptor = os.pidfd_open(pid)
    try:
        yield
        assert select.select([descriptor], [], [], within_s)[0], f"{pid} goes on: {command_of(pid)}"
    finally:
        os.close(descriptor)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _force(function: Callable[[str], Any], path: str, _: object) -> None:
    """Removes what a test has made unreadable."""
    os.chmod(os.path.dirname(path), 0o700)
    os.chmod(path, 0o700)
    function(path)


def starter_home() -> Iterator[Home]:
    """An installation whose starter model stays loaded, for a fixture of a module."""
    with Home() as made:
        made.add_starter_model()
        yield made
        assert "Traceback" not in made.log
