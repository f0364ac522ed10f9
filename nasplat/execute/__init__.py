"""Executors: run the trials that a driver hands out, in this process or on Ray workers."""
