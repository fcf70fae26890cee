"""How weights move: plain settings, from which torch's optimisers are built."""
