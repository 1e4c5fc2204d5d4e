"""Plans, exact quotas and wallet payments for multi-tenant Django sites. Imports nothing: safe before apps load."""

__version__ = "0.1.0.dev0"
