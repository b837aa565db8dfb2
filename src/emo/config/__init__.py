"""Settings as frozen dataclasses; the defaults stand here and nowhere else.

YAML and the command line only override them; `emo.cli.config` does the loading. Knows no room's code.
"""
