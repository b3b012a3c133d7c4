"""`relman demo`: builds of a small operating system, and a walk through a release of it."""
