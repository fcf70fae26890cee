"""Which trials of a sweep are ended early."""
