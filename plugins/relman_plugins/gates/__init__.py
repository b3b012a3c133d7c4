"""What may enter a stream."""
