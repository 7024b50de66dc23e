"""Events for webhooks as rows, and what became of sending them."""
