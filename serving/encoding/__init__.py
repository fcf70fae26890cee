"""Where shoppers are encoded: inside every replica, or in a deployment of its own, on a GPU say."""
