"""The `emo` command: one file per verb, each of which parses, makes one call and draws the result."""
