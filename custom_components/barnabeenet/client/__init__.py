"""The client of a sidecar; knows nothing of Home Assistant."""
