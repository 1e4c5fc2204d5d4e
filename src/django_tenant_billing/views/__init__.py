"""Views translate; services decide."""
