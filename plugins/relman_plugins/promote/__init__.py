"""What moves an image into a stream."""
