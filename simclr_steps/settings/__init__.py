"""Every key of the config, and what the experiments make of them."""
