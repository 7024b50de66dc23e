"""A home of its own for each test, and daemons that end with it."""

from __future__ import annotations

from tests.lifecycle.processes import bound as bound
from tests.lifecycle.processes import children as children
from tests.lifecycle.processes import finish as finish
from tests.lifecycle.processes import home as home
from tests.lifecycle.processes import paths as paths
from tests.lifecycle.processes import place as place
from tests.lifecycle.processes import run as run
from tests.lifecycle.processes import spawned as spawned
