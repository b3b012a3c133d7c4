"""relman: releases of operating-system images, from what changed to what was announced."""

__version__ = "0.1.0"
