"""From a changelog to words."""
