"""Tasks: data, losses and metrics; they know no search, no store and no space."""
