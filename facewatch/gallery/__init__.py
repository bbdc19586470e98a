"""Templates become candidates (FAISS stays in here)."""
