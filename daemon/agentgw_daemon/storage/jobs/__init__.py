"""Jobs in the database: how far each one's times are decided, its runs, and the files whose changes had one."""
