"""What the client gives back, as the server described it: a module for each noun. Nothing here talks."""
