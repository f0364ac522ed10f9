"""Tables that ship, in the neutral form."""
