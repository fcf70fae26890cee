"""Who runs the steps of writing a log."""
