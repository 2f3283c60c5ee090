"""What several requests share on one accelerator: the order of work and the memory."""
