"""What gates that ask others share: placeholders, programs, JSON from strangers, and forges."""
