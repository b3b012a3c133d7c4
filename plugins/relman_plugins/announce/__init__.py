"""Where the community hears of a release."""
