"""What a person sees: tables, progress, plots, trees. Fetches nothing and decides nothing."""
