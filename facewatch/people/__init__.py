"""The use cases that APIs, commands and the pipeline share."""
