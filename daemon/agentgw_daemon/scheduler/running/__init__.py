"""Jobs at work: the loop that looks at clock and file, stores what is decided, and starts the turns."""
