"""HTTP: three families behind one door."""
