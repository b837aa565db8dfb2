"""Text files: read strictly in their encoding, written whole or not at all.

Which row and which byte are not in an encoding is said, and nothing guessed. Knows no format.
"""

from __future__ import annotations

from pathlib import Path

from emo.errors import ConfigError

SAVE = "Save it as UTF-8."


def read_text(path: Path, encoding: str = "utf-8", hint: str = SAVE) -> str:
    """All of a text file without its byte-order mark.

    ConfigError where it cannot be read, where `encoding` is none, and, with the row, the byte and the `hint`,
    where the file is not in it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        byte = f"byte {error.start} (0x{data[error.start]:02x})"
        raise ConfigError(f"{path}, row {row}: {byte} is not {encoding}. {hint}") from error
    except LookupError as error:
        raise ConfigError(f"no encoding is called {encoding!r}. Try utf-8, utf-16 or gb18030.") from error


def replace_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8; a kill leaves it as it was or as it will be."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)
