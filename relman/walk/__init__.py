"""The steps of the walk, each a pure function where it can be."""
