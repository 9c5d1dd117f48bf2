"""Files that are there whole or not at all, and that say when they are damaged; one writer to a folder."""
