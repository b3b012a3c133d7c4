"""Signatures under statements: made with a key of one's own or by cosign, and verified with a public key."""
