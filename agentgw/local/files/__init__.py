"""Files of the program: the end of its log, notices told once, folders shipped beside the code."""
