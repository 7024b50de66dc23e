"""A browser for tests: headless Chromium, driven through chromedriver by the W3C's WebDriver protocol over httpx.

As much of the protocol as the tests use, which is less than a client library would be. What is waited for has a bound.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.patience import PATIENCE_S

_PAUSE_S: Final = 0.02
_TRIES: Final = 5
_DRIVERS: Final = ("chromedriver",)
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Key of an element's id in answers, fixed by the protocol.
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
# A browser talks to its maker by itself; what is measured here is what pages do.
_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-features=OptimizationHints,MediaRouter,Translate", "--force-device-scale-factor=1", "--hide-scrollbars",
)  # fmt: skip
KEYS: Final = {"enter": "\ue007", "escape": "\ue00c", "tab": "\ue004", "shift": "\ue008", "control": "\ue009"}


def missing() -> str:
    """Words for what is not installed, if anything."""
    driver = next(filter(None, map(shutil.which, _DRIVERS)), None)
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    return "" if driver and browser else "no Chromium with chromedriver: apt-get install chromium chromium-driver"


class Element:
    """One element of the page that is open."""

    def __init__(self, browser: Browser, element_id: str) -> None:
        self._browser = browser
        self.id = element_id

    @property
    def text(self) -> str:
        """Its words as they are shown."""
        return str(self._browser.ask("GET", f"/element/{self.id}/text"))

    def click(self) -> None:
        """Click on it."""
        self._browser.ask("POST", f"/element/{self.id}/click", {})

    def type(self, text: str) -> None:
        """Type into it."""
        self._browser.ask("POST", f"/element/{self.id}/value", {"text": text})

    def attribute(self, name: str) -> str | None:
        """The value of an attribute."""
        value = self._browser.ask("GET", f"/element/{self.id}/attribute/{name}")
        return None if value is None else str(value)


class Browser:
    """One browser with its windows."""

    def __init__(self, driver: httpx.Client, session: str) -> None:
        self._driver = driver
        self._session = session
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """One command of the protocol."""
        reply = self._driver.request(method, f"/session/{self._session}{path}", json=value).json()["value"]
        if isinstance(reply, dict) and "error" in reply:
            raise AssertionError(f"{path}: {reply['error']}: {reply['message'].splitlines()[0]}")
        return reply

    def open(self, address: str) -> None:
        """Go to a page, which is loaded when this returns."""
        self.ask("POST", "/url", {"url": address})

    def reload(self) -> None:
        """Load the page anew."""
        self.ask("POST", "/refresh", {})

    @property
    def address(self) -> str:
        """Of the page that is open."""
        return str(self.ask("GET", "/url"))

    def find(self, selector: str) -> Element:
        """The first element that a selector finds, once there is one."""
        found: Element = self.until(lambda: next(iter(self.all(selector)), None), f"there is {selector}")
        return found

    def all(self, selector: str) -> list[Element]:
        """All elements that a selector finds now."""
        found = self.ask("POST", "/elements", {"using": "css selector", "value": selector})
        return [Element(self, one[_ELEMENT]) for one in found]

    def run(self, script: str, *args: Any) -> Any:
        """The value of a function's body."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script: str, *args: Any) -> Any:
        """The value that a function's body gives to its last argument."""
        return self.ask("POST", "/execute/async", {"script": script, "args": list(args)})

    def press(self, key: str) -> None:
        """A key, wherever the focus is."""
        code = KEYS.get(key, key)
        keys = [{"type": "keyDown", "value": code}, {"type": "keyUp", "value": code}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def until(self, look: Callable[[], Any], what: str) -> Any:
        """The value of `look`, once it has one."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(_PAUSE_S)
        raise AssertionError(f"it never came to pass that {what}; the page: {self.text[-2000:]}")

    @property
    def text(self) -> str:
        """The words of the page as they are shown."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def wait_text(self, words: str) -> None:
        """Returns when the page shows them."""
        self.until(lambda: words in self.text, f"the page says {words!r}")

    def command(self, name: str, **params: Any) -> Any:
        """A command of the browser's own protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def size(self, width: int, height: int) -> None:
        """The size of the page, as on a screen of that size."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def scheme(self, value: str) -> None:
        """The user's wish: `light` or `dark`."""
        features = [
            {"name": "prefers-color-scheme", "value": value},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.command("Emulation.setEmulatedMedia", features=features)

    def shot(self, path: Path) -> None:
        """A picture of the page."""
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def windows(self) -> list[str]:
        """Handles of all windows."""
        return list(self.ask("GET", "/window/handles"))

    def new_window(self) -> str:
        """Another tab, which is then the one that commands go to."""
        handle = str(self.ask("POST", "/window/new", {"type": "tab"})["handle"])
        self.switch(handle)
        return handle

    def switch(self, handle: str) -> None:
        """Have commands go to another tab."""
        self.ask("POST", "/window", {"handle": handle})

    def close_window(self) -> None:
        """Close the tab that commands go to."""
        self.ask("DELETE", "/window")

    def read_logs(self) -> None:
        """Take in what pages asked the network for and what the console complained of since the last time."""
        for entry in self.ask("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        for entry in self.ask("POST", "/se/log", {"type": "browser"}):
            self.complaints.append(f"{entry['level']}: {entry['message']}")


@contextmanager
def open_browser(scratch: Path, flags: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser of its own, with nothing in it."""
    driver_path = next(filter(None, map(shutil.which, _DRIVERS)))
    browser_path = next(filter(None, map(shutil.which, _BROWSERS)))
    log = scratch / "chromedriver.log"
    with _started([driver_path, "--port=0", f"--log-path={log}"]) as (driver, port):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as client:
                options = {
                    "binary": browser_path,
                    "args": [*_FLAGS, f"--user-data-dir={scratch / 'profile'}", *flags],
                }
                wanted = {
                    "browserName": "chrome", "goog:chromeOptions": options,
                    "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
                }  # fmt: skip
                reply = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
                assert "sessionId" in reply, reply
                try:
                    yield Browser(client, reply["sessionId"])
                finally:
                    client.delete(f"/session/{reply['sessionId']}")
        finally:
            driver.terminate()


@contextmanager
def _started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The driver with its port. It takes a free one of IPv4 and ends where somebody else has that number of IPv6."""
    said = ""
    for _ in range(_TRIES):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
            assert driver.stdout is not None
            for line in driver.stdout:
                said += line
                if "started successfully on port" in line:
                    yield driver, int(line.rstrip().rstrip(".").rpartition(" ")[2])
                    return
    raise AssertionError(f"chromedriver did not start: {said}")
