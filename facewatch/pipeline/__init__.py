"""Joins the floors below into a stream of face events."""
