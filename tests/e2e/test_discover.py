"""Every reply is what `rpc.discover` says it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.home import Home
from tests.e2e.wire import Refused, Wire
from tests.skills.folders import write_skill

pytestmark = pytest.mark.e2e


def schemas_of(wire: Wire) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each method's result, and of each notification's parameters."""
    document = wire.call("rpc.discover")
    results = {method["name"]: method["result"]["schema"] for method in document["methods"]}
    events = {event["name"]: event["params"] for event in document["x-notifications"]}
    for schema in (*results.values(), *events.values()):
        Draft202012Validator.check_schema(schema)
    return results, events


def check(schema: dict[str, Any], value: object) -> None:
    """Fails when the value does not fit, or has a field the schema does not know."""
    Draft202012Validator(closed(schema)).validate(value)


def closed(schema: Any) -> Any:
    """The schema with every object's unknown properties forbidden."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and isinstance(made["properties"], dict):
        made.setdefault("additionalProperties", False)
    return made


def test_the_reply_of_every_method_fits_its_schema(model_home: Home) -> None:
    home = model_home
    home.add_embedder()
    home.configure("")
    hooks = home.path / "config" / "webhooks.yaml"
    # Nobody listens there.
    hooks.write_text("webhooks:\n- {name: a, url: 'http://127.0.0.1:1/', allow_local: true, events: [job.finished]}\n")
    home.serve("--port", "0")
    skill = home.work / "pirate"
    skill.mkdir()
    (skill / "SKILL.md").write_text("---\nname: pirate\ndescription: Speaks as a pirate.\n---\nArr.\n")
    with home.connect() as wire, home.connect() as subscribed:
        results, events = schemas_of(wire)
        asked = set()

        def ask(method: str, **params: Any) -> Any:
            notifications, result = wire.stream(method, **params)
            check(results[method], result)
            for notification in notifications:
                check(events[notification["method"]], notification["params"])
            asked.add(method)
            return result

        check(results["event.subscribe"], subscribed.call("event.subscribe", topics=["turns", "models", "approvals"]))
        asked.add("event.subscribe")
        ask("hello", client="test", version="0", protocol=1)
        ask("ping")
        ask("rpc.discover")
        ask("web.sign_in")
        turn = ask("turn.start", message="one two three", model="echo", options={"max_tokens": 2})
        ask("turn.start", message="hi", system="", options={"max_tokens": 2})
        for field in ("started", "completed"):
            event = subscribed.next("event")
            check(events["event"], event)
            assert (event["topic"], event["name"], event["data"]["turn_id"]) == ("turns", field, turn["turn_id"])
        turn_id, session_id = turn["turn_id"], turn["session_id"]
        ask("turn.attach", turn_id=turn_id)
        ask("turn.show", turn_id=turn_id)
        ask("turn.parts", turn_id=turn_id)
        ask("turn.replay", turn_id=turn_id)
        ask("turn.list")
        ask("session.list")
        ask("session.get", session_id=session_id)
        ask("session.messages", session_id=session_id)
        assert ask("session.search", query="three")["messages"]
        ask("session.rename", session_id=session_id, title="numbers")
        fork = ask("session.fork", session_id=session_id)
        for message in ("long " * 600, "short"):
            wire.call("turn.start", message=message, session_id=session_id, model="echo", options={"max_tokens": 2})
        # So much of it as a summary may have is what `echo` writes.
        assert ask("session.compact", session_id=session_id)["turns"] == 2
        ask("session.expand", session_id=session_id)
        ask("session.export", session_id=session_id, format="json")
        ask("feedback.add", rating=1, turn_id=turn_id, comment="good")
        assert ask("feedback.list")["ratings"]
        ask("session.delete", session_id=fork["session_id"])
        ask("turn.prefill", message="one two", model="smollm2:135m")
        ask("chat.complete", messages=[{"role": "user", "content": "hi there"}], model="echo")
        ask("skill.list")
        ask("skill.get", name="code-assistant")
        assert ask("skill.validate", path=str(skill))["ok"] is True
        assert ask("skill.validate", path=str(home.work))["ok"] is False
        (home.work / "old.yaml").write_text("system_prompt: Be old.\n")
        assert ask("skill.import", path=str(home.work / "old.yaml"))["ok"] is True
        write_skill(home.work / ".agents" / "skills", "deploy")
        project = ask("skill.project", path=str(home.work))
        assert ask("skill.trust", path=str(home.work), sha256=project["sha256"])["state"] == "trusted"
        assert ask("skill.trusted")["projects"]
        ask("skill.distrust", path=str(home.work))
        assert ask("skill.route", message="write a poem")["skills"]
        assert ask("tool.list")["tools"]
        assert ask("tool.call", tool="current_time", arguments={})["ok"]
        with home.connect() as caller:
            call = {"tool": "write_file", "arguments": {"path": "a.txt", "content": "a"}, "cwd": str(home.work)}
            called = caller.request("tool.call", **call)
            while (asked_for := subscribed.next("event"))["topic"] != "approvals":
                check(events["event"], asked_for)
            assert asked_for["name"] == "asked"
            (waiting,) = ask("approval.list")["approvals"]
            ask("approval.answer", approval_id=waiting["approval_id"], decision="allow_always")
            assert caller.outcome(called)[1]["ok"]
        (rule,) = ask("approval.rules")["rules"]
        ask("approval.revoke", rule_id=rule["rule_id"])
        (home.work / "papers").mkdir()
        (home.work / "papers" / "a.md").write_text("# Boats\n\nThe Ida lies at pier 12.\n")
        ask("document.ingest", paths=[str(home.work / "papers")], watch=True)
        ask("document.ingest", text="The rent is due.", source="rent.txt")
        ask("document.upload", data="")
        assert ask("document.search", query="boats")["chunks"]
        assert ask("document.list")["documents"]
        assert ask("turn.start", message="Where does the Ida lie?", model="echo")["sources"]
        assert ask("document.watched")["folders"]
        ask("document.unwatch", path=str(home.work / "papers"))
        assert ask("document.delete", sources=["rent.txt"])
        added = ask("job.add", message="say hello", every="day at 08:30", model="echo")
        assert len(added["times"]) == 3
        name = added["job"]["name"]
        ask("job.disable", name=name)
        ask("job.enable", name=name)
        assert ask("job.run", name=name, wait=True)["status"] == "ok"
        assert ask("job.list")["jobs"][0]["last"]["status"] == "ok"
        assert ask("job.history", name=name)["runs"]
        assert ask("job.next")["times"]
        ask("job.remove", name=name)
        assert ask("webhook.test", name="a")["ok"] is False
        assert ask("webhook.list")["webhooks"][0]["deliveries"]
        ask("embed", texts=["one", "two"])
        ask("model.list")
        ask("model.recommend")
        ask("model.show", model="smollm2:135m")
        ask("model.default", model="smollm2:135m")
        ask("model.load", model="smollm2:135m")
        assert "cold_ms" in ask("skill.cost", name="general-assistant")["skills"][0]
        ask("daemon.status")
        ask("model.unload", model="smollm2:135m")
        ask("daemon.doctor")
        ask("daemon.reload")
        ask("config.get")
        ask("config.set", key="log.level", value="debug")
        ask("config.unset", key="log.level")
        ask("daemon.backup", path=str(home.work / "copy.db"))
        ask("stats.get")
        # A file whose digest is right is not fetched again.
        ask("model.pull", model="smollm2:135m")
        ask("model.remove", model="smollm2:135m")
        with home.connect() as other:
            other.request("turn.start", message="word " * 20_000, model="echo")
            running = other.next("turn.started")["turn_id"]
            ask("turn.steer", turn_id=running, text="shorter")
            ask("turn.cancel", turn_id=running)
        ask("daemon.shutdown")
        assert set(results) - asked == set()


def test_an_error_has_the_code_and_the_fields_of_its_class(home: Home) -> None:
    home.daemon()
    with home.connect() as wire:
        errors = {one["code"]: one for one in wire.call("rpc.discover")["components"]["errors"].values()}
        for method, params in (
            ("turn.show", {"turn_id": "t-none"}),
            ("session.get", {"session_id": "s-none"}),
            ("skill.get", {"name": "none"}),
            ("model.show", {"model": "none"}),
            ("model.load", {"model": "smollm2:135m"}),
            ("turn.start", {"message": "hi"}),
            ("turn.start", {"message": 7}),
            ("hello", {"client": "test", "version": "0", "protocol": 999}),
        ):
            with pytest.raises(Refused) as refused:
                wire.call(method, **params)
            known = errors[refused.value.code]
            assert set(refused.value.data) - {"hint"} <= set(known.get("data", {})), (method, refused)


def test_the_command_line_prints_the_document_as_it_is(home: Home) -> None:
    home.daemon()
    with home.connect() as wire:
        assert json.loads(home.ask("call", "rpc.discover")) == wire.call("rpc.discover")
