"""What can be said about an event log: measured in one pass over its dates, in memory that does not grow with it."""
