"""The network side: frames, messages, hello, server and HTTP endpoints."""
