"""The command line: what can be written there, and what it starts."""
