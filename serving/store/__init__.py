"""Online stores: where events become durable and are read back as the shopper's history."""
