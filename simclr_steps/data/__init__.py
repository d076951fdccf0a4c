"""From the user's files to packed arrays."""
