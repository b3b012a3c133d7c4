"""Published releases, read back: from what a forge, a feed or a folder of notes holds to records of the ledger."""
