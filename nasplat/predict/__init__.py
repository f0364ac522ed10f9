"""Predicting what an architecture will score: features of typed graphs and models on top of them."""
