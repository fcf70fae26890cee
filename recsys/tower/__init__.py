"""Where item vectors come from: learnt for each item, from its content, or both."""
