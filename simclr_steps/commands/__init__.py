"""Commands that start the workflow, and that look after what it and the steps leave."""
