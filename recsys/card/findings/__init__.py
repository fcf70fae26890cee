"""What a data card warns of: each finding with evidence, the threshold it crossed, and what to do."""
