"""Floor 0: tensor types, ops as contracts, immutable typed graphs, digest, cost, lowering to torch."""
