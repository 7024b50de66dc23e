"""Parameters and results of methods, a module for each thing that they are about."""
