"""What is trained: the loss, the views, and what is watched while it trains."""
