"""Published results as YAML; each file begins with the command that asks for them again."""
