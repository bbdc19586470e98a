"""Cameras and files become frames (PyAV stays in here)."""
