"""What the user's own documents say: taken in, kept up to date, found again."""
