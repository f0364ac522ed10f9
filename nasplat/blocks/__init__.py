"""Bodies with open decisions that several search spaces are made of."""
