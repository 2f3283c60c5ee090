"""What a turn did and how long it took; knows nothing of Home Assistant."""
