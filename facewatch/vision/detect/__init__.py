"""Pictures to boxes and landmarks: one module a family, and what they share."""
