"""Commands that look after what the steps and the workflow leave."""
