"""Commands that begin a config, start the workflow, and look after what it and the steps leave."""
