"""Measuring of a loaded model while it is idle: which settings serve best."""
