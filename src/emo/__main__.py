"""`python -m emo` is the `emo` command; the one place where the vocabulary reaches up to `cli`."""

from importlib import import_module

if __name__ == "__main__":
    import_module("emo.cli.main").main()
