"""What webhooks are told: events as rows, and what became of sending them."""
