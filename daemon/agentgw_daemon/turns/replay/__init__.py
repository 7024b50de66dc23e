"""Running a stored turn again, with what is on record of it, and comparing the two runs."""
