"""Documents taken in: found, compared, read, embedded, stored; folders followed."""
