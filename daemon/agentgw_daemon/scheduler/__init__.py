"""Jobs and their clock: schedules, the jobs file, and the decisions about what starts when. Pure but for the file."""
