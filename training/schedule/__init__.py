"""How the learning rate runs from the first step to the last."""
