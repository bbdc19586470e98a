"""Frames become faces, faces become templates (ONNX Runtime and OpenCV stay in here)."""
