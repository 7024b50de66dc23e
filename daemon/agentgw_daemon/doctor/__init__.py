"""Looks at everything a working daemon needs and says what is wrong and how to put it right.

`examine` runs the table of checks; the checks are by subject in `places`, `models` and `system`.
"""

from agentgw_daemon.doctor.context import DoctorContext
from agentgw_daemon.doctor.examination import CHECKS, examine

__all__ = ["CHECKS", "DoctorContext", "examine"]
