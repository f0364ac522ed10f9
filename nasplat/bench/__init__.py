"""Benchmarks: tables of results that are known already, and what finds the best of them soonest."""
