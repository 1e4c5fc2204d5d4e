"""Optional parts: nothing in the package imports them."""
