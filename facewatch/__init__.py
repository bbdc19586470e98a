"""facewatch: open camera face-event recognition."""

__version__ = "0.1.0"
