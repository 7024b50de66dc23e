"""Checks of directories and the files in them: there, ours, private, writable, with room left."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from platformdirs import PlatformDirs

from agentgw.local import directories
from agentgw.local.on_demand import is_locked
from agentgw.local.paths import APP
from agentgw.protocol.errors import ConfigRefused, DirectoryRefused
from agentgw_daemon.config import load as config
from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine, info, warning
from agentgw_daemon.storage.sqlite.filesystem import filesystem_type, is_network
from agentgw_daemon.workers.protocol.kv_files import state_folder

# SQLite and the log need little; a model file does not fit at all.
_FREE_ERROR_BYTES: Final = 64 << 20
_FREE_WARNING_BYTES: Final = 1 << 30
_MOUNTINFO: Final = "/proc/self/mountinfo"


def check_directories(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that each directory is there, ours, and closed to others."""
    wrong = False
    for path in context.started.paths.directories:
        try:
            os.close(directories.open_private(path))
        except FileNotFoundError:
            wrong = True
            yield error(f"{path} is missing", "agentgw restart makes it again")
        except DirectoryRefused as refused:
            wrong = True
            yield error(refused.message, refused.hint or None)
    if not wrong:
        yield fine("all directories are private")


def check_runtime_directory(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that the socket is where it usually is."""
    paths = context.started.paths
    if paths.warning:
        return (
            warning(paths.warning, "log in through a session that sets XDG_RUNTIME_DIR (ssh or a desktop, not su)"),
        )
    return (fine(f"the socket is in {paths.run_dir}"),)


def check_standard_places(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that our own rules for the places and those of platformdirs agree."""
    paths = context.started.paths
    if paths.home:
        return (fine(f"everything is below AGENTGW_HOME, {paths.home}"),)
    theirs = PlatformDirs(APP, appauthor=False)
    pairs = (
        ("configuration", paths.config_dir, theirs.user_config_dir),
        ("data", paths.data_dir, theirs.user_data_dir),
        ("state", paths.state_dir, theirs.user_state_dir),
        ("cache", paths.cache_dir, theirs.user_cache_dir),
    )
    differing = [
        warning(f"{what} is in {ours}, where other programs would look in {usual}", "look at the XDG_ variables")
        for what, ours, usual in pairs
        if ours != usual
    ]
    return differing or (fine("places are the system's usual ones"),)


def check_socket(context: DoctorContext) -> Iterable[Verdict]:
    """The name clients use leads to this daemon and is closed to others."""
    name = context.started.name
    by_hand = "systemctl --user restart agentgw.socket" if name.managed else "wait 5 s: the daemon publishes it again"
    match name.look():
        case "missing":
            return (error(f"{name.path} is gone", by_hand),)
        case "dead":
            return (error(f"nobody listens at {name.path}", by_hand),)
        case "taken":
            return (error(f"another process listens at {name.path}", "agentgw restart"),)
        case "blocked":
            return (error(f"{name.path} is there and is not a socket", f"rm {shlex.quote(name.path)}"),)
        case "ours":
            pass
    mode = stat.S_IMODE(os.stat(name.path).st_mode)
    if mode & 0o077:
        return (error(f"{name.path} is open to others (mode {mode:04o})", f"chmod 600 {shlex.quote(name.path)}"),)
    return (fine(name.path),)


def check_locks(context: DoctorContext) -> Iterable[Verdict]:
    """The daemon's lock is the file of that name, nobody sits on the clients' lock, nothing half-made is left."""
    started = context.started
    found: list[Verdict] = []
    if not started.lock.in_place:
        found.append(
            error(f"{started.lock.path} was removed or replaced: a second daemon could start", "agentgw restart")
        )
    if is_locked(started.paths.spawn_lock):
        found.append(warning(f"another process holds {started.paths.spawn_lock}", "look again; if it stays, see fuser"))
    left = [name for name in os.listdir(started.paths.run_dir) if _is_leftover(name)]
    if left:
        found.append(info(f"half-made sockets of clients that were killed: {len(left)}", "the next start removes them"))
    return found or (fine(f"{started.lock.path} is held by this daemon"),)


def check_config(context: DoctorContext) -> Iterable[Verdict]:
    """The file parses, has known keys only, is what runs, and only we can write it."""
    file = context.started.paths.config_file
    try:
        on_disk = config.load(file, context.started.environ)
    except ConfigRefused as refused:
        return (error(refused.message, refused.hint),)
    found = list(_config_file(file))
    changed, _ = config.changed(context.config, on_disk)
    if changed:
        found.append(info(f"changed since it was read: {', '.join(changed)}", "agentgw reload"))
    for name, provider in on_disk.settings.providers.items():
        if provider.api_key_env and not context.started.environ.get(provider.api_key_env):
            found.append(
                warning(
                    f"providers.{name}: {provider.api_key_env} is not set in the daemon's environment",
                    f"export {provider.api_key_env} and agentgw restart",
                )
            )
    return found or (fine(file if os.path.exists(file) else f"{file} does not exist: all defaults"),)


def _config_file(file: str) -> Iterator[Verdict]:
    try:
        mode = stat.S_IMODE(os.stat(file).st_mode)
    except OSError:
        return
    if mode & 0o022:
        yield warning(f"others may write {file} (mode {mode:04o})", f"chmod 600 {shlex.quote(file)}")


def check_log(context: DoctorContext) -> Iterable[Verdict]:
    """The log can be written, and only we can read it."""
    path = context.started.paths.log_file
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as failure:
        return (error(f"{path} cannot be written: {failure.strerror}", "agentgw restart opens it again"),)
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    os.close(fd)
    if mode & 0o077:
        return (warning(f"{path} is open to others (mode {mode:04o})", f"chmod 600 {shlex.quote(path)}"),)
    return (fine(path),)


def check_disk_space(context: DoctorContext) -> Iterable[Verdict]:
    """Room on the disk of the database and the models."""
    path = context.started.paths.data_dir
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    message = f"{free / (1 << 30):.1f} GiB free in {path}"
    if free < _FREE_ERROR_BYTES:
        return (error(message, "free some space: nothing can be stored"),)
    if free < _FREE_WARNING_BYTES:
        return (warning(message, "free some space before pulling a model"),)
    return (fine(message),)


def check_kv_cache(context: DoctorContext) -> Iterable[Verdict]:
    """Checks what the saved keys and values take of the disk."""
    limit, folder = context.config.settings.inference.kv_cache_bytes, context.started.paths.kv_dir
    files, size = state_folder.usage(Path(folder))
    return (fine(f"{files} saved states in {folder}, {size / (1 << 20):.0f} of {limit / (1 << 20):.0f} MiB"),)


def check_filesystem(context: DoctorContext) -> Iterable[Verdict]:
    """Locks and shared memory of SQLite need a local disk."""
    path = context.started.paths.data_dir
    try:
        kind = filesystem_type(Path(path).resolve(), Path(_MOUNTINFO).read_text(errors="surrogateescape"))
    except OSError:
        return (info(f"cannot be told on {sys.platform}"),)
    if is_network(kind):
        return (warning(f"{path} is on a network filesystem ({kind})", "set XDG_DATA_HOME to a local directory"),)
    return (fine(f"{path} is on {kind or 'a local filesystem'}"),)


def _is_leftover(name: str) -> bool:
    pid = name.removeprefix(".tmp.")
    if pid == name or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
