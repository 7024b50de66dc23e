"""News for the person: approvals that wait and ends of jobs, on the desktop or by a mail command."""
