"""Text in cells of tables that spreadsheets open: a program would run what begins like a formula.

Knows no tables.
"""

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
