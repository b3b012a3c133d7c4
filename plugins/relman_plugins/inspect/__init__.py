"""Sources of contents: where the list of what is inside an image is found."""
