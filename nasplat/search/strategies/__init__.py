"""Strategies: what to evaluate next, asked and told; one file for each."""
