"""What a person sees: tables, live progress, plots and trees. Knows the store and studies, not how they search."""
