"""What all kinds of worker processes have in common: the process as the daemon sees it, and its lifelines inside."""
