"""Times at which a job is due: the forms of a schedule and the zones they are read in. Pure."""
