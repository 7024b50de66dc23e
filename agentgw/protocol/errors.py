"""Every error a client, a script or a user can meet: one class a code, exit statuses beside them.

The tree:

    AgentgwError
    ├── RpcError                      has a JSON-RPC code and crosses the socket
    │   ├── ParseError · InvalidRequest · MethodNotFound · InvalidParams · InternalError
    │   └── NotFound · AlreadyExists · SessionBusy · Overloaded · ContextOverflow · ModelUnavailable
    │       WorkerDied · ToolFailed · TurnCancelled · VersionMismatch · ShuttingDown · ApprovalDenied
    │       SchemaUnmet · StorageUnavailable · Timeout
    └── LocalError                    never crosses the socket: raised and shown by one process
        ├── UsageError · DaemonUnreachable · AlreadyRunning · ServiceManagerFailed · BackupRefused
        └── ConfigRefused · DirectoryRefused

A message says what happened, `hint` says what to do next; where there is none, the class's `remedy` does. On the wire
the hint travels in `data`.
This module is on the client's hot path: no dataclasses, no typing at run time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar


# Kinds of things with the command that lists them.
LISTINGS: Mapping[str, str] = {
    "session": "agentgw sessions", "summary": "agentgw sessions", "turn": "agentgw turns --all",
    "run": "agentgw jobs history",
    "skill": "agentgw skills", "model": "agentgw models", "provider": "agentgw config show providers",
    "tool": "agentgw tools", "project": "agentgw trust --list", "job": "agentgw jobs",
    "approval": "agentgw approvals", "answer": "agentgw approvals", "rule": "agentgw approvals rules",
    "collection": "agentgw documents", "document": "agentgw documents",
    "folder": "agentgw ingest --watched", "upload": "agentgw documents", "webhook": "agentgw webhooks",
    "setting": "agentgw config show", "door": "agentgw status",
}  # fmt: skip


class AgentgwError(Exception):
    """Anything agentgw reports on purpose. `str(error)` is one line without a trailing full stop."""

    exit_status: int = 1
    #: Advice for an error of this class that has no hint of its own.
    remedy: ClassVar[str] = ""
    #: The answer's text before the error: goes beside the error where that is printed as JSON, never over the wire.
    partial: Mapping[str, Any] = {}

    def __init__(self, message: str, *, hint: str | None = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or ""
        # None: another process wrote the message, with its own advice in it.
        self._is_advice_given = hint is None

    @property
    def advice(self) -> str:
        """The hint, or what helps against errors of its class, where the message does not lead to a command itself."""
        if self._is_advice_given or "agentgw " in self.message:
            return self.hint
        return self.hint or self.remedy


class RpcError(AgentgwError):
    """An error with a JSON-RPC code.

    `data_fields` names what `data` may hold and what each field means; `rpc.discover` and the docs read it.
    """

    code: ClassVar[int] = -32603
    title: ClassVar[str] = "Internal error"
    data_fields: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str = "", *, hint: str = "", **data: Any) -> None:
        super().__init__(message or self.title, hint=hint)
        self.data = data

    def to_wire(self) -> dict[str, Any]:
        """The `error` member of a JSON-RPC response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        data = dict(self.data)
        if self.hint:
            data["hint"] = self.hint
        if data:
            error["data"] = data
        return error


class ParseError(RpcError):
    """The frame is not a JSON text."""

    code, title = -32700, "Parse error"
    remedy = "`agentgw call METHOD JSON` writes frames that are right"


class InvalidRequest(RpcError):
    """The frame is JSON but not a JSON-RPC 2.0 request, or breaks a limit of the wire."""

    code, title = -32600, "Invalid request"
    remedy = "`agentgw call METHOD JSON` writes requests that are right"


class MethodNotFound(RpcError):
    """No such method."""

    code, title = -32601, "Method not found"
    data_fields = {"method": "the name asked for"}
    exit_status = 2
    remedy = "`agentgw call rpc.discover` lists the methods"


class InvalidParams(RpcError):
    """The parameters do not fit the method."""

    code, title = -32602, "Invalid params"
    data_fields = {"path": "the parameter at fault, dotted", "reason": "what is wrong with it"}
    exit_status = 2
    remedy = "`agentgw help VERB` says what it takes"


class InternalError(RpcError):
    """A bug of ours. The text is in the log under `error_id` and nowhere else."""

    code, title = -32603, "Internal error"
    data_fields = {"error_id": "look for it in the log"}
    remedy = "`agentgw logs` has more about it"


def _listing(data: Mapping[str, Any]) -> str:
    listing = LISTINGS.get(str(data.get("kind")))
    return f"`{listing}` lists what there is" if listing else ""


class NotFound(RpcError):
    """The thing named does not exist."""

    code, title = -32001, "Not found"
    data_fields = {"kind": "session, turn, skill, model …", "id": "what was asked for"}

    @property
    def advice(self) -> str:
        """The hint, or the command that lists what there is."""
        return self.hint or _listing(self.data)


class AlreadyExists(RpcError):
    """The name is taken."""

    code, title = -32002, "Already exists"
    data_fields = {"kind": "session, skill, model …", "id": "the taken name"}

    @property
    def advice(self) -> str:
        """The hint, or the command that lists what there is."""
        return self.hint or _listing(self.data)


class SessionBusy(RpcError):
    """Another turn of this session is running."""

    code, title, exit_status = -32003, "Session busy", 75
    data_fields = {"session_id": "the session", "turn_id": "its running turn"}
    remedy = "`agentgw turns` shows what runs, `agentgw turns cancel TURN` ends it"


class Overloaded(RpcError):
    """A limit on connections, requests or queued turns is reached; try again later."""

    code, title, exit_status = -32004, "Overloaded", 75
    data_fields = {"limit": "the limit's name", "value": "its value"}
    remedy = "try again later; `agentgw turns` shows what runs and waits"


class ContextOverflow(RpcError):
    """One message alone does not fit the model's context."""

    code, title, exit_status = -32005, "Context overflow", 7
    data_fields = {
        "prompt_tokens": "tokens needed", "n_ctx_tokens": "tokens there are", "model": "the model",
        "parts": "of a dry run: the prompt in parts",
    }  # fmt: skip
    remedy = "send less (--dry-run counts it), or take a model with a longer context: agentgw models"


class ModelUnavailable(RpcError):
    """No model, or it cannot be loaded."""

    code, title, exit_status = -32006, "Model unavailable", 4
    data_fields = {
        "model": "what was asked for", "reason": "why not", "suggestion": "a reference to pull instead",
        "no_answer": "true: it can be used and gave this message no answer; it may answer another",
    }  # fmt: skip
    remedy = "`agentgw models` lists what can be used, `agentgw doctor` says what is wrong"


class WorkerDied(RpcError):
    """The worker process ended in the middle of the request."""

    code, title = -32007, "Worker died"
    data_fields = {"worker": "model or retrieval", "status": "exit status, negative for a signal"}
    remedy = "try again; `agentgw logs` says more"


class ToolFailed(RpcError):
    """A tool reported failure."""

    code, title = -32008, "Tool failed"
    data_fields = {"tool": "its name", "reason": "what it said"}
    remedy = "`agentgw tools` says what it takes"


class TurnCancelled(RpcError):
    """The turn was cancelled before it had a result."""

    code, title, exit_status = -32009, "Turn cancelled", 130
    data_fields = {"turn_id": "the turn"}
    remedy = "ask again; `agentgw turns --all` shows what has ended"


class VersionMismatch(RpcError):
    """Client and daemon, or daemon and worker, are of versions that cannot work together."""

    code, title, exit_status = -32010, "Version mismatch", 3
    data_fields = {"ours": "version here", "theirs": "version there"}
    remedy = "run: agentgw restart"


class ShuttingDown(RpcError):
    """The daemon is stopping and takes no new work."""

    code, title, exit_status = -32011, "Shutting down", 75
    remedy = "try again, or see what it waits for: agentgw turns"


class ApprovalDenied(RpcError):
    """A tool was denied, or nobody answered in time."""

    code, title, exit_status = -32012, "Approval denied", 5
    data_fields = {"approval_id": "the approval", "tool": "the tool"}
    remedy = "--approve TOOL allows it beforehand, `agentgw approvals` while it waits"


class SchemaUnmet(RpcError):
    """The output does not meet the schema."""

    code, title, exit_status = -32013, "Schema unmet", 6
    data_fields = {
        "path": "where in the answer, as a JSON pointer",
        "reason": "what is wrong",
        "text": "the answer, cut",
    }
    remedy = "try again, or with another model: agentgw models"


class StorageUnavailable(RpcError):
    """The database cannot be written or read now (disk full, I/O error)."""

    code, title = -32014, "Storage unavailable"
    data_fields = {"reason": "what the disk said"}
    remedy = "`agentgw doctor` says what is wrong with the disk or the database"


class Timeout(RpcError):
    """A time limit of the request passed."""

    code, title, exit_status = -32015, "Timeout", 124
    data_fields = {"timeout_s": "the limit in seconds"}
    remedy = "allow it more with --timeout; `agentgw ps` shows what is at work"


class LocalError(AgentgwError):
    """An error of this process alone."""


class UsageError(LocalError):
    """The command line cannot be understood."""

    exit_status = 2
    remedy = "see agentgw --help"


class DaemonUnreachable(LocalError):
    """No daemon answers, or the one we started did not come up."""

    exit_status = 3
    remedy = "see agentgw doctor"


class AlreadyRunning(LocalError):
    """Another daemon holds the lock beside the database."""

    exit_status = 75
    remedy = "`agentgw status` shows it, `agentgw stop` ends it"


class ServiceManagerFailed(LocalError):
    """The user's service manager is not there, does not answer or refuses."""

    exit_status = 3
    remedy = "`agentgw service status` compares, `agentgw start` does without"


class BackupRefused(LocalError):
    """The file is no backup that this version can restore."""

    remedy = "`agentgw backup FILE` makes one"


class ConfigRefused(LocalError):
    """The configuration cannot be used."""

    exit_status = 78
    remedy = "correct it with: agentgw config edit"


class DirectoryRefused(LocalError):
    """A directory or socket path is not safe or not usable."""

    exit_status = 78
    remedy = "see agentgw doctor"


RPC_ERRORS: tuple[type[RpcError], ...] = (
    ParseError, InvalidRequest, MethodNotFound, InvalidParams, InternalError,
    NotFound, AlreadyExists, SessionBusy, Overloaded, ContextOverflow, ModelUnavailable, WorkerDied,
    ToolFailed, TurnCancelled, VersionMismatch, ShuttingDown, ApprovalDenied, SchemaUnmet,
    StorageUnavailable, Timeout,
)  # fmt: skip

_BY_CODE = {error.code: error for error in RPC_ERRORS}


def from_wire(error: Mapping[str, Any]) -> RpcError:
    """The error a response carries, as its own class; an unknown code becomes a plain `RpcError`."""
    data = error.get("data")
    fields = dict(data) if isinstance(data, dict) else {}
    hint = str(fields.pop("hint", ""))
    made = _BY_CODE.get(error.get("code", 0), RpcError)(str(error.get("message", "")), hint=hint)
    made.data = fields
    if isinstance(made, NotFound) and fields.get("kind") == "model":
        # No model is no model, whoever looked for it.
        made.exit_status = ModelUnavailable.exit_status
    return made
