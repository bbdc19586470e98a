"""Composition: parts become a running service."""
