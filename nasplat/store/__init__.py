"""The results store: every fact of every study in one SQL database; knows no torch or graph."""
