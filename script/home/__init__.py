"""The demo home: a real Home Assistant and a real sidecar, set up and spoken to as a user would."""
