"""Pages for people: rendered here, brought to life by htmx, with nothing from other sites."""
