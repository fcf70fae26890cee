"""The serving half of Attune: HTTP API, answering, listening, online store and the Ray Serve application."""
