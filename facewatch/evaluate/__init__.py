"""How good recognition is, measured on labelled data: visits, pairs, galleries."""
