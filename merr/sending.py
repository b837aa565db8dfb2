"""Whether what is in a data set may go to another machine. Knows hosts and rights, never what is sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from emo.errors import ConfigError, RightsError
from emo.rights import DataRights


def host_of(base_url: str) -> str:
    """The host of a server's address. ConfigError where it is no http address, or holds a password."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{base_url!r} is no address of a server. Write http://HOST:PORT/v1.")
    if parts.username or parts.password:
        raise ConfigError("the server's address holds a user or a password. Put the key into --key-env.")
    return parts.hostname


def is_this_machine(host: str) -> bool:
    """Whether a host is loopback; a name that is not localhost is somebody else's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_sending(host: str, rights: Sequence[DataRights], *, media: bool, send_media_to: str) -> None:
    """Refuse what must not go to `host`; everything may go to this machine.

    RightsError where a data set forbids any service, ConfigError where media would go to a host that was
    not named for them.
    """
    if is_this_machine(host):
        return
    forbidding = [each for each in rights if not each.may_send_to_cloud]
    if forbidding:
        names = ", ".join(f"{each.name} ({each.licence})" for each in forbidding)
        raise RightsError(
            f"{names}: may not be sent to {host} as far as is known here. Use a server on this machine; what "
            "the owner allows is said with --rights NAME|FILE."
        )
    if media and send_media_to != host:
        raise ConfigError(
            f"pictures or the sound of people would go to {host}. If you may, add --send-media-to {host}."
        )
