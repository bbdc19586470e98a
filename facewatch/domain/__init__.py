"""Values and rules of the house; numpy at most."""
