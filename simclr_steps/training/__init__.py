"""How any training runs: its batches, its optimizers, its files, and how it goes on after a stop."""
