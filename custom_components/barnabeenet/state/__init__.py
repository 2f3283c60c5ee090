"""What a home keeps: its database, its sessions and what is counted; knows nothing of Home Assistant."""
