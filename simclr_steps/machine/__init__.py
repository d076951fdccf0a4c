"""What changes how a step runs, and never what it makes."""
