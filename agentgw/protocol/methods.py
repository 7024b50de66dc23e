"""Every method of the daemon: the first table of the contract.

Server dispatch, `rpc.discover`, `docs/protocol.md` and the tests read it; a method's parameters and result
are records (`calls/`), so their JSON Schemas come from the same place.
"""

from __future__ import annotations

from agentgw.protocol import errors as e
from agentgw.protocol import events as ev
from agentgw.protocol import types as t
from agentgw.protocol.calls import approvals as a
from agentgw.protocol.calls import chat as ch
from agentgw.protocol.calls import daemon as da
from agentgw.protocol.calls import documents as d
from agentgw.protocol.calls import embeddings as em
from agentgw.protocol.calls import feedback as f
from agentgw.protocol.calls import jobs as j
from agentgw.protocol.calls import models as m
from agentgw.protocol.calls import sessions as s
from agentgw.protocol.calls import skills as sk
from agentgw.protocol.calls import tools as to
from agentgw.protocol.calls import turns as tu
from agentgw.protocol.calls import webhooks as h
from agentgw.protocol.calls.events import SubscribeParams
from agentgw.protocol.calls.shared import Done, NoParams
from agentgw.protocol.calls.web import SignInLink
from agentgw.protocol.records.schema import record


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
        da.HelloParams,
        da.HelloResult,
        "Greet, and compare versions. Optional.",
        errors=(e.VersionMismatch,),
    ),
    _method("ping", NoParams, None, 'Gives `"pong"`.'),
    _method("rpc.discover", NoParams, None, "This table as an OpenRPC document."),
    _method("daemon.status", NoParams, da.DaemonStatus, "The state of the daemon, in numbers."),
    _method("daemon.shutdown", da.ShutdownParams, da.ShutdownResult, "Stop gracefully; the reply comes first."),
    _method("daemon.reload", NoParams, da.ReloadResult, "Read configuration and skills again."),
    _method("daemon.doctor", NoParams, da.DoctorResult, "Run every check of the daemon's side."),
    _method(
        "daemon.backup",
        da.BackupParams,
        da.BackupResult,
        "Copy the database to a file, which is looked at before it gets its name; turns go on meanwhile.",
        errors=(e.AlreadyExists, e.StorageUnavailable),
    ),
    _method(
        "turn.start", tu.TurnStartParams, tu.TurnResult, "Answer a message.", events=_TURN_EVENTS, errors=_TURN_ERRORS
    ),
    _method("turn.cancel", tu.TurnIdParams, Done, "End a running turn; its text so far is kept.", errors=(e.NotFound,)),
    _method(
        "turn.steer",
        tu.TurnSteerParams,
        Done,
        "Add to the message of a running turn: the model is shown it before its next step.",
        errors=(e.NotFound, e.Overloaded),
    ),
    _method(
        "turn.prefill",
        tu.TurnStartParams,
        tu.PrefillResult,
        "Compute the prompt that `turn.start` would send first, while nobody else computes; stores nothing.",
        errors=_TURN_ERRORS,
    ),
    _method(
        "turn.attach",
        tu.TurnAttachParams,
        tu.TurnResult,
        "Watch a turn: replay from `from_seq`, then live, then its result.",
        events=_TURN_EVENTS,
        errors=_TURN_ERRORS,
    ),
    _method("turn.list", tu.TurnListParams, tu.TurnList, "Running and recent turns.", errors=_STORED),
    _method(
        "turn.show", tu.TurnIdParams, tu.TurnDetail, "One turn with all that running it again takes.", errors=_STORED
    ),
    _method(
        "turn.parts",
        tu.TurnIdParams,
        tu.TurnParts,
        "Count the parts of the prompt that a stored turn began with; loads its model.",
        errors=(e.ModelUnavailable, e.Overloaded, e.WorkerDied, *_STORED),
    ),
    _method(
        "turn.replay",
        tu.TurnReplayParams,
        tu.ReplayResult,
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
    _method("approval.list", NoParams, a.ApprovalList, "Tool calls that wait for an answer."),
    _method(
        "approval.answer",
        a.ApprovalAnswerParams,
        Done,
        "Answer one; the first answer wins.",
        errors=(e.AlreadyExists, *_STORED),
    ),
    _method(
        "approval.rules",
        NoParams,
        a.RuleList,
        "Rules that `allow_always` left behind.",
        errors=(e.StorageUnavailable,),
    ),
    _method("approval.revoke", a.RuleIdParams, Done, "Ask about that call again.", errors=_STORED),
    _method(
        "chat.complete",
        ch.ChatParams,
        ch.ChatResult,
        "Complete a conversation that the client keeps.",
        events=(ev.ChatDelta,),
        errors=(e.Overloaded, e.ContextOverflow, e.ModelUnavailable, e.WorkerDied, e.ShuttingDown),
    ),
    _method("session.list", s.SessionListParams, s.SessionList, "Stored sessions.", errors=(e.StorageUnavailable,)),
    _method("session.get", s.SessionIdParams, t.Session, "One session.", errors=_STORED),
    _method("session.messages", s.MessagesParams, s.MessageList, "Its messages.", errors=_STORED),
    _method("session.search", s.SearchParams, s.SearchResult, "Full-text search in all messages.", errors=_STORED),
    _method("session.rename", s.RenameParams, t.Session, "Give it a title.", errors=_STORED),
    _method("session.fork", s.ForkParams, t.Session, "Branch off a copy.", errors=_STORED),
    _method(
        "session.compact",
        s.SessionCompactParams,
        s.SessionCompacted,
        "Have the oldest turns summed up, and show their summary to the model from now on.",
        errors=(e.SessionBusy, e.Overloaded, e.ModelUnavailable, e.WorkerDied, e.Timeout, e.AlreadyExists, *_STORED),
    ),
    _method(
        "session.expand",
        s.SessionIdParams,
        s.SessionExpanded,
        "Take the last `session.compact` back: its turns are shown whole again.",
        errors=_STORED,
    ),
    _method("session.export", s.ExportParams, s.ExportResult, "The session as Markdown or JSON.", errors=_STORED),
    _method(
        "session.delete",
        s.SessionIdParams,
        Done,
        "Remove it with its turns and messages.",
        errors=(e.SessionBusy, *_STORED),
    ),
    _method(
        "feedback.add",
        f.FeedbackAddParams,
        t.Feedback,
        "Rate a turn; a second rating replaces the first.",
        errors=_STORED,
    ),
    _method(
        "feedback.list",
        f.FeedbackListParams,
        f.FeedbackList,
        "Ratings, the latest first.",
        errors=(e.StorageUnavailable,),
    ),
    _method("skill.list", sk.SkillListParams, sk.SkillList, "All skills, broken ones with their reason."),
    _method("skill.get", sk.SkillNameParams, sk.SkillDetail, "One skill.", errors=(e.NotFound,)),
    _method("skill.route", sk.RouteParams, sk.RouteResult, "Rank the skills for a message; stores nothing."),
    _method(
        "skill.cost",
        sk.SkillCostParams,
        sk.SkillCosts,
        "Measure what skills cost with their models; stores nothing.",
        errors=(e.NotFound, e.ShuttingDown),
    ),
    _method("skill.validate", sk.ValidateParams, sk.ValidateResult, "Check a skill on disk."),
    _method(
        "skill.import",
        sk.ValidateParams,
        sk.ValidateResult,
        "Make a folder among the user's skills of an old YAML file.",
        errors=(e.AlreadyExists,),
    ),
    _method("skill.project", sk.ProjectParams, sk.Project, "What trusting a project would allow.", errors=_STORED),
    _method(
        "skill.trust",
        sk.TrustParams,
        sk.Project,
        "Use a project's skills in it, until one of their files changes.",
        errors=_STORED,
    ),
    _method("skill.trusted", NoParams, sk.ProjectList, "The trusted projects.", errors=(e.StorageUnavailable,)),
    _method("skill.distrust", sk.ProjectParams, Done, "Use a project's skills no longer.", errors=_STORED),
    _method("tool.list", NoParams, to.ToolList, "All tools, those that cannot be used with their reason."),
    _method(
        "tool.call",
        to.ToolCallParams,
        to.ToolCallResult,
        "Call a tool, with the same approval as a model's call.",
        events=(ev.TurnApproval,),
        errors=(e.NotFound, e.ApprovalDenied),
    ),
    _method(
        "document.ingest",
        d.DocumentIngestParams,
        d.IngestResult,
        "Read, cut, embed and store documents; unchanged ones cost a look.",
        events=(ev.DocumentProgress,),
        errors=(e.NotFound, e.ModelUnavailable, e.WorkerDied, e.ShuttingDown, e.StorageUnavailable, e.Timeout),
    ),
    _method(
        "document.upload",
        d.DocumentUploadParams,
        d.UploadResult,
        "Take a document of another machine in pieces, for `document.ingest`.",
        errors=(e.NotFound, e.Overloaded, e.StorageUnavailable),
    ),
    _method(
        "document.search",
        d.DocumentSearchParams,
        d.DocumentSearchResult,
        "Find chunks of the user's documents, by meaning and by words.",
        errors=(e.ModelUnavailable, *_STORED),
    ),
    _method("document.list", d.DocumentListParams, d.DocumentList, "Documents.", errors=_STORED),
    _method("document.delete", d.DocumentDeleteParams, d.DocumentsDeleted, "Remove documents.", errors=_STORED),
    _method("document.watched", NoParams, d.WatchedList, "Folders that are followed.", errors=(e.StorageUnavailable,)),
    _method(
        "document.unwatch", d.DocumentUnwatchParams, Done, "Follow it no more; its documents stay.", errors=_STORED
    ),
    _method("job.list", NoParams, j.JobList, "Scheduled jobs, and what is wrong in their file."),
    _method(
        "job.add",
        j.JobAddParams,
        j.JobAdded,
        "Write an entry into the jobs file.",
        errors=(e.AlreadyExists, e.ModelUnavailable, *_STORED),
    ),
    _method("job.remove", j.JobNameParams, Done, "Take an entry out of the file.", errors=_STORED),
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
    _method("model.list", NoParams, m.ModelList, "Models on disk, configured and in the catalogue."),
    _method(
        "model.recommend",
        NoParams,
        m.Recommendation,
        "Models ranked for this machine, whose memory is measured.",
    ),
    _method("model.show", m.ModelRefParams, m.ModelDetail, "One model.", errors=(e.NotFound, e.ModelUnavailable)),
    _method(
        "model.pull",
        m.ModelRefParams,
        t.Model,
        "Download a model, resume, verify.",
        events=(ev.ModelProgress,),
        errors=(e.NotFound, e.ModelUnavailable),
    ),
    _method("model.remove", m.ModelRefParams, Done, "Delete a pulled model's file.", errors=(e.NotFound,)),
    _method("model.load", m.ModelRefParams, t.Model, "Start its worker.", errors=(e.NotFound, e.ModelUnavailable)),
    _method("model.unload", m.ModelRefParams, Done, "End its worker.", errors=(e.NotFound,)),
    _method(
        "model.default", m.ModelRefParams, t.Model, "Make it the default.", errors=(e.NotFound, e.ModelUnavailable)
    ),
    _method(
        "embed",
        em.EmbedParams,
        em.EmbedResult,
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
        NoParams,
        SignInLink,
        "A link that signs one browser in to the web pages.",
        errors=(e.NotFound,),
    ),
    _method("config.get", da.ConfigParams, da.ConfigResult, "Settings with their origins.", errors=(e.NotFound,)),
    _method(
        "config.set",
        da.ConfigSetParams,
        da.ReloadResult,
        "Change one setting in `config.toml`, which keeps its comments, and take it over.",
        errors=(e.NotFound,),
    ),
    _method(
        "config.unset",
        da.ConfigUnsetParams,
        da.ReloadResult,
        "Take one setting out of `config.toml`, so that its default holds.",
        errors=(e.NotFound,),
    ),
    _method("stats.get", NoParams, da.StatsResult, "Counts.", errors=(e.StorageUnavailable,)),
    _method(
        "event.subscribe",
        SubscribeParams,
        Done,
        "Events of the whole daemon on this connection.",
        events=(ev.DaemonEvent,),
    ),
)

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
