"""All runs on one page."""
