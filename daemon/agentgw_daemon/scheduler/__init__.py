"""Jobs and their clock: `schedules`, the jobs `file`, and in `planning` the decisions about what starts when."""
