"""Programs and libraries that other people wrote, sending to signed upload URLs."""
