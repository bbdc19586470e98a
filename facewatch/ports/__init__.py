"""Every seam of the house, a page a subject: what floor 2 promises to the floors above it."""
