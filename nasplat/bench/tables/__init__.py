"""Readers of published tables, one module for each source; each defines ``SOURCES``."""
