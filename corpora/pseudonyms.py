"""Speakers under names that say nothing: a keyed hash, with the key in a file of the user's.

One speaker has one name within a key, so folds by speaker and the leak guard go on working; without the key
nobody can try names out. Clip ids and paths are left as they are. Knows no data set.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from emo.errors import ConfigError

KEY_BYTES = 32
SHOWN = 16  # hex digits: two of a million speakers share a name with a chance of 3e-8


def load_key(path: Path) -> bytes:
    """The key in `path`, made where there is none; only its owner may read the file.

    ConfigError where the file is something else.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}). Name a file for the key.") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(KEY_BYTES) + "\n")
    return _read(path)


def pseudonym(key: bytes, dataset: str, speaker: str) -> str:
    """The name of one speaker of a data set: HMAC-SHA256 under the key.

    >>> from emo.corpora.pseudonyms import pseudonym
    >>> pseudonym(b"key", "own", "anna") == pseudonym(b"key", "own", "anna")
    True
    """
    message = f"{dataset}\0{speaker}".encode()
    return "speaker-" + hmac.new(key, message, hashlib.sha256).hexdigest()[:SHOWN]


def _read(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} holds no key of {KEY_BYTES} bytes in hex. Name another file.") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} holds {len(key)} bytes in hex, a key has {KEY_BYTES}. Name another file.")
    return key
