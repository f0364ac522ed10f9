"""The search itself: strategies, objectives, constraints, budget, and the loop that joins them."""
