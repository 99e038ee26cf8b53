"""Independent instruments: their files read, their rows paired with exposures, and judged."""
