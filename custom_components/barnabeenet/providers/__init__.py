"""Language models: who can be asked, what is asked, what comes back and what it costs. Knows nothing of Home Assistant."""
