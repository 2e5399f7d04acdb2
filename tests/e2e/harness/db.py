"""The stores themselves, read past the servers."""
