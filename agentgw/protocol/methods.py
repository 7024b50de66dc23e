"""Every method of the daemon: the first table of the contract.

Server dispatch, `rpc.discover`, `docs/protocol.md` and the tests read it; a method's parameters and result
are records (`params`, `results`), so their JSON Schemas come from the same place.
"""

from __future__ import annotations

from agentgw.protocol import errors as e
from agentgw.protocol import events as ev
from agentgw.protocol import params as p
from agentgw.protocol import results as r
from agentgw.protocol import types as t
from agentgw.protocol.calls import configs as c
from agentgw.protocol.calls import doors as d
from agentgw.protocol.calls import hooks as h
from agentgw.protocol.calls import ingests as i
from agentgw.protocol.calls import jobs as j
from agentgw.protocol.calls.compactions import SessionCompacted, SessionCompactParams, SessionExpanded
from agentgw.protocol.calls.prefills import PrefillResult
from agentgw.protocol.calls.projects import Project
from agentgw.protocol.calls.recommendations import Recommendation
from agentgw.protocol.calls.replays import TurnParts
from agentgw.protocol.calls.steering import TurnSteerParams
from agentgw.protocol.schema import record


@record
class Method:
    """One row of the table."""

    name: str
    doc: str
    params: type
    result: type | None
    events: tuple[type, ...] = ()
    errors: tuple[type[e.RpcError], ...] = ()


_TURN_EVENTS = (
    ev.TurnStarted, ev.TurnProgress, ev.TurnDelta, ev.TurnToolCall, ev.TurnApproval, ev.TurnToolResult, ev.TurnSources,
    ev.TurnNotice, ev.TurnSteered, ev.TurnCompleted,
)  # fmt: skip
_TURN_ERRORS = (
    e.NotFound, e.SessionBusy, e.Overloaded, e.ContextOverflow, e.ModelUnavailable, e.WorkerDied, e.TurnCancelled,
    e.ShuttingDown, e.StorageUnavailable, e.Timeout,
)  # fmt: skip
_STORED = (e.NotFound, e.StorageUnavailable)


def _method(
    name: str,
    params: type,
    result: type | None,
    doc: str,
    *,
    events: tuple[type, ...] = (),
    errors: tuple[type[e.RpcError], ...] = (),
) -> Method:
    return Method(name=name, doc=doc, params=params, result=result, events=events, errors=errors)


_ROWS = (
    _method(
        "hello",
        p.HelloParams,
        r.HelloResult,
        "Greet, and compare versions. Optional.",
        errors=(e.VersionMismatch,),
    ),
    _method("ping", p.NoParams, None, 'Gives `"pong"`.'),
    _method("rpc.discover", p.NoParams, None, "This table as an OpenRPC document."),
    _method("daemon.status", p.NoParams, r.DaemonStatus, "The state of the daemon, in numbers."),
    _method("daemon.shutdown", p.ShutdownParams, r.ShutdownResult, "Stop gracefully; the reply comes first."),
    _method("daemon.reload", p.NoParams, r.ReloadResult, "Read configuration and skills again."),
    _method("daemon.doctor", p.NoParams, r.DoctorResult, "Run every check of the daemon's side."),
    _method(
        "daemon.backup",
        p.BackupParams,
        r.BackupResult,
        "Copy the database to a file, which is looked at before it gets its name; turns go on meanwhile.",
        errors=(e.AlreadyExists, e.StorageUnavailable),
    ),
    _method(
        "turn.start", p.TurnStartParams, r.TurnResult, "Answer a message.", events=_TURN_EVENTS, errors=_TURN_ERRORS
    ),
    _method(
        "turn.cancel", p.TurnIdParams, r.Done, "End a running turn; its text so far is kept.", errors=(e.NotFound,)
    ),
    _method(
        "turn.steer",
        TurnSteerParams,
        r.Done,
        "Add to the message of a running turn: the model is shown it before its next step.",
        errors=(e.NotFound, e.Overloaded),
    ),
    _method(
        "turn.prefill",
        p.TurnStartParams,
        PrefillResult,
        "Compute the prompt that `turn.start` would send first, while nobody else computes; stores nothing.",
        errors=_TURN_ERRORS,
    ),
    _method(
        "turn.attach",
        p.TurnAttachParams,
        r.TurnResult,
        "Watch a turn: replay from `from_seq`, then live, then its result.",
        events=_TURN_EVENTS,
        errors=_TURN_ERRORS,
    ),
    _method("turn.list", p.TurnListParams, r.TurnList, "Running and recent turns.", errors=_STORED),
    _method(
        "turn.show", p.TurnIdParams, r.TurnDetail, "One turn with all that running it again takes.", errors=_STORED
    ),
    _method(
        "turn.parts",
        p.TurnIdParams,
        TurnParts,
        "Count the parts of the prompt that a stored turn began with; loads its model.",
        errors=(e.ModelUnavailable, e.Overloaded, e.WorkerDied, *_STORED),
    ),
    _method(
        "turn.replay",
        p.TurnReplayParams,
        r.ReplayResult,
        "Run a stored turn again with its recorded tool results; carries nothing out and stores nothing.",
        events=(ev.ReplayProgress,),
        errors=(
            e.NotFound,
            e.SessionBusy,
            e.Overloaded,
            e.ContextOverflow,
            e.ModelUnavailable,
            e.WorkerDied,
            e.ShuttingDown,
            e.StorageUnavailable,
        ),
    ),
    _method("approval.list", p.NoParams, r.ApprovalList, "Tool calls that wait for an answer."),
    _method(
        "approval.answer",
        p.ApprovalAnswerParams,
        r.Done,
        "Answer one; the first answer wins.",
        errors=(e.AlreadyExists, *_STORED),
    ),
    _method(
        "approval.rules",
        p.NoParams,
        r.RuleList,
        "Rules that `allow_always` left behind.",
        errors=(e.StorageUnavailable,),
    ),
    _method("approval.revoke", p.RuleIdParams, r.Done, "Ask about that call again.", errors=_STORED),
    _method(
        "chat.complete",
        p.ChatParams,
        r.ChatResult,
        "Complete a conversation that the client keeps.",
        events=(ev.ChatDelta,),
        errors=(e.Overloaded, e.ContextOverflow, e.ModelUnavailable, e.WorkerDied, e.ShuttingDown),
    ),
    _method("session.list", p.SessionListParams, r.SessionList, "Stored sessions.", errors=(e.StorageUnavailable,)),
    _method("session.get", p.SessionIdParams, t.Session, "One session.", errors=_STORED),
    _method("session.messages", p.MessagesParams, r.MessageList, "Its messages.", errors=_STORED),
    _method("session.search", p.SearchParams, r.SearchResult, "Full-text search in all messages.", errors=_STORED),
    _method("session.rename", p.RenameParams, t.Session, "Give it a title.", errors=_STORED),
    _method("session.fork", p.ForkParams, t.Session, "Branch off a copy.", errors=_STORED),
    _method(
        "session.compact",
        SessionCompactParams,
        SessionCompacted,
        "Have the oldest turns summed up, and show their summary to the model from now on.",
        errors=(e.SessionBusy, e.Overloaded, e.ModelUnavailable, e.WorkerDied, e.Timeout, e.AlreadyExists, *_STORED),
    ),
    _method(
        "session.expand",
        p.SessionIdParams,
        SessionExpanded,
        "Take the last `session.compact` back: its turns are shown whole again.",
        errors=_STORED,
    ),
    _method("session.export", p.ExportParams, r.ExportResult, "The session as Markdown or JSON.", errors=_STORED),
    _method(
        "session.delete",
        p.SessionIdParams,
        r.Done,
        "Remove it with its turns and messages.",
        errors=(e.SessionBusy, *_STORED),
    ),
    _method(
        "feedback.add",
        p.FeedbackAddParams,
        t.Feedback,
        "Rate a turn; a second rating replaces the first.",
        errors=_STORED,
    ),
    _method(
        "feedback.list",
        p.FeedbackListParams,
        r.FeedbackList,
        "Ratings, the latest first.",
        errors=(e.StorageUnavailable,),
    ),
    _method("skill.list", p.SkillListParams, r.SkillList, "All skills, broken ones with their reason."),
    _method("skill.get", p.SkillNameParams, r.SkillDetail, "One skill.", errors=(e.NotFound,)),
    _method("skill.route", p.RouteParams, r.RouteResult, "Rank the skills for a message; stores nothing."),
    _method(
        "skill.cost",
        p.SkillCostParams,
        r.SkillCosts,
        "Measure what skills cost with their models; stores nothing.",
        errors=(e.NotFound, e.ShuttingDown),
    ),
    _method("skill.validate", p.ValidateParams, r.ValidateResult, "Check a skill on disk."),
    _method(
        "skill.import",
        p.ValidateParams,
        r.ValidateResult,
        "Make a folder among the user's skills of an old YAML file.",
        errors=(e.AlreadyExists,),
    ),
    _method("skill.project", p.ProjectParams, Project, "What trusting a project would allow.", errors=_STORED),
    _method(
        "skill.trust",
        p.TrustParams,
        Project,
        "Use a project's skills in it, until one of their files changes.",
        errors=_STORED,
    ),
    _method("skill.trusted", p.NoParams, r.ProjectList, "The trusted projects.", errors=(e.StorageUnavailable,)),
    _method("skill.distrust", p.ProjectParams, r.Done, "Use a project's skills no longer.", errors=_STORED),
    _method("tool.list", p.NoParams, r.ToolList, "All tools, those that cannot be used with their reason."),
    _method(
        "tool.call",
        p.ToolCallParams,
        r.ToolCallResult,
        "Call a tool, with the same approval as a model's call.",
        events=(ev.TurnApproval,),
        errors=(e.NotFound, e.ApprovalDenied),
    ),
    _method(
        "document.ingest",
        i.DocumentIngestParams,
        i.IngestResult,
        "Read, cut, embed and store documents; unchanged ones cost a look.",
        events=(ev.DocumentProgress,),
        errors=(e.NotFound, e.ModelUnavailable, e.WorkerDied, e.ShuttingDown, e.StorageUnavailable, e.Timeout),
    ),
    _method(
        "document.upload",
        i.DocumentUploadParams,
        i.UploadResult,
        "Take a document of another machine in pieces, for `document.ingest`.",
        errors=(e.NotFound, e.Overloaded, e.StorageUnavailable),
    ),
    _method(
        "document.search",
        p.DocumentSearchParams,
        r.DocumentSearchResult,
        "Find chunks of the user's documents, by meaning and by words.",
        errors=(e.ModelUnavailable, *_STORED),
    ),
    _method("document.list", p.DocumentListParams, r.DocumentList, "Documents.", errors=_STORED),
    _method("document.delete", p.DocumentDeleteParams, r.DocumentsDeleted, "Remove documents.", errors=_STORED),
    _method(
        "document.watched", p.NoParams, i.WatchedList, "Folders that are followed.", errors=(e.StorageUnavailable,)
    ),
    _method(
        "document.unwatch", i.DocumentUnwatchParams, r.Done, "Follow it no more; its documents stay.", errors=_STORED
    ),
    _method("job.list", p.NoParams, j.JobList, "Scheduled jobs, and what is wrong in their file."),
    _method(
        "job.add",
        j.JobAddParams,
        j.JobAdded,
        "Write an entry into the jobs file.",
        errors=(e.AlreadyExists, e.ModelUnavailable, *_STORED),
    ),
    _method("job.remove", j.JobNameParams, r.Done, "Take an entry out of the file.", errors=_STORED),
    _method("job.enable", j.JobNameParams, j.ScheduledJob, "Switch it on, in the file.", errors=_STORED),
    _method("job.disable", j.JobNameParams, j.ScheduledJob, "Switch it off, in the file.", errors=_STORED),
    _method(
        "job.run",
        j.JobRunParams,
        j.JobRun,
        "Run it now, as a detached turn.",
        errors=(e.AlreadyExists, e.ShuttingDown, *_STORED),
    ),
    _method("job.history", j.JobHistoryParams, j.JobRunList, "Runs and times without a run.", errors=_STORED),
    _method("job.next", j.JobNextParams, j.JobTimes, "When jobs are due next.", errors=(e.NotFound,)),
    _method("model.list", p.NoParams, r.ModelList, "Models on disk, configured and in the catalogue."),
    _method(
        "model.recommend",
        p.NoParams,
        Recommendation,
        "Models ranked for this machine, whose memory is measured.",
    ),
    _method("model.show", p.ModelRefParams, r.ModelDetail, "One model.", errors=(e.NotFound, e.ModelUnavailable)),
    _method(
        "model.pull",
        p.ModelRefParams,
        t.Model,
        "Download a model, resume, verify.",
        events=(ev.ModelProgress,),
        errors=(e.NotFound, e.ModelUnavailable),
    ),
    _method("model.remove", p.ModelRefParams, r.Done, "Delete a pulled model's file.", errors=(e.NotFound,)),
    _method("model.load", p.ModelRefParams, t.Model, "Start its worker.", errors=(e.NotFound, e.ModelUnavailable)),
    _method("model.unload", p.ModelRefParams, r.Done, "End its worker.", errors=(e.NotFound,)),
    _method(
        "model.default", p.ModelRefParams, t.Model, "Make it the default.", errors=(e.NotFound, e.ModelUnavailable)
    ),
    _method(
        "embed",
        p.EmbedParams,
        r.EmbedResult,
        "Turn texts into vectors with the configured embedder.",
        errors=(e.ModelUnavailable, e.WorkerDied, e.Overloaded, e.Timeout, e.ShuttingDown),
    ),
    _method(
        "webhook.list",
        h.WebhookListParams,
        h.WebhookList,
        "The webhooks of webhooks.yaml, without secrets.",
        errors=(e.StorageUnavailable,),
    ),
    _method("webhook.test", h.WebhookNameParams, h.WebhookTestResult, "Send it a signed test event.", errors=_STORED),
    _method(
        "web.sign_in",
        p.NoParams,
        d.SignInLink,
        "A link that signs one browser in to the web pages.",
        errors=(e.NotFound,),
    ),
    _method("config.get", c.ConfigParams, c.ConfigResult, "Settings with their origins.", errors=(e.NotFound,)),
    _method(
        "config.set",
        c.ConfigSetParams,
        r.ReloadResult,
        "Change one setting in `config.toml`, which keeps its comments, and take it over.",
        errors=(e.NotFound,),
    ),
    _method(
        "config.unset",
        c.ConfigUnsetParams,
        r.ReloadResult,
        "Take one setting out of `config.toml`, so that its default holds.",
        errors=(e.NotFound,),
    ),
    _method("stats.get", p.NoParams, r.StatsResult, "Counts.", errors=(e.StorageUnavailable,)),
    _method(
        "event.subscribe",
        p.SubscribeParams,
        r.Done,
        "Events of the whole daemon on this connection.",
        events=(ev.DaemonEvent,),
    ),
)

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
