"""The HTTP face: request and response models, problem bodies, limits and routes."""
