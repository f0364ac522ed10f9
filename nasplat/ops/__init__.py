"""Floor 1: the library of typed ops, one file for each family; ``modules/`` holds what they build."""
