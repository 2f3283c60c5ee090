"""Which models there are, which of them are here, and that what is here is what it should be."""
