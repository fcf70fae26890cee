"""Who may ask for what: API keys and their scopes, rates, origins of browsers, and what is refused without them."""
