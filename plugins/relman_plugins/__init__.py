"""relman's own plugins, found by their entry points exactly as a stranger's are."""
