"""What a question asks for: the next item, the next moment, or everything within a horizon."""
