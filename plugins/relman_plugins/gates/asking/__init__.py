"""What gates that ask others share: verdicts, placeholders, JSON from strangers, and forges."""
