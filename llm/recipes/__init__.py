"""Training recipes as YAML; each file begins with the command that runs it and what it aims at."""
