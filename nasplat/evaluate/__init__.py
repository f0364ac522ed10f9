"""Evaluators: what a worker does with a candidate; they know no search and no store."""
