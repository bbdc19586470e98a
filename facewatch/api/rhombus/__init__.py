"""The Rhombus face-recognition contract."""
