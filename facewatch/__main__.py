"""``python -m facewatch`` is ``facewatch``."""

from facewatch.cli import main

main()
