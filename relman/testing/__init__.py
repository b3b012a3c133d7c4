"""For authors of plugins: registries in memory, images made to order."""
