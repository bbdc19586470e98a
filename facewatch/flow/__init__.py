"""Bounded plumbing between stages."""
