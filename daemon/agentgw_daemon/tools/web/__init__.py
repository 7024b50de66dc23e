"""Pages from the web, by checked addresses."""
