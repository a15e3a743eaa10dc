"""Programs that use roipool for what it exists for; each says in its README how to run it."""
