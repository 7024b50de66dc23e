"""Input of a request: standard input, files and schemas as they are given on the command line."""
