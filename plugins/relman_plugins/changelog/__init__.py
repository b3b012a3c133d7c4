"""What changelogs are made from, beside packages."""
