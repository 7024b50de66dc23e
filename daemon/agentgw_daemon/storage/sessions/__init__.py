"""Sessions, their turns and all that is stored of them."""
