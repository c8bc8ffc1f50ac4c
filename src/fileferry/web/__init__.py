"""What API flows and wire protocols share of HTTP: reading requests, telling errors, ending connections. It translates nothing."""
