"""The results store: every fact of every study in one SQL database; knows no torch, graph or task."""
