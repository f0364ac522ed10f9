"""Floor 2: the space language: decisions, combinators, genotypes, variation, encoding, costs over a space."""
