"""Knowledge from the user's own documents: taken in, kept up to date, found again."""
