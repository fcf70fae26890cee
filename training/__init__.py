"""Training: from a source of events to a registered bundle."""
