"""Face detectors: one module a family."""
