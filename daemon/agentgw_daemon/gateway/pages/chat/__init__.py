"""Sessions as pages: their turns as they were and as they run, and what can be done about them."""
