"""Payment gateways: one file each, which knows HTTP, signatures and its own words, and no models."""
