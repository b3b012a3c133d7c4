"""The model: frozen values that every part of relman, and every plugin, speaks in. It imports no service."""
