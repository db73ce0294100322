"""Where functions run: here on threads, or on many machines."""
