"""A client of any OpenAI-compatible server: one question in, the text of one answer and its cost out.

Asks only the address it was given: redirects are not followed. The key comes from the environment and is in
no message, no file and no log. Failures that may pass are tried again after a random wait (full jitter,
Brooker 2015, "Exponential Backoff And Jitter"). The client package is imported when a service is first asked.
Knows no clips and no tasks.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from emo.canonical import Json
from emo.errors import ConfigError, MissingDependency, ServiceDown

Message: TypeAlias = Mapping[str, Json]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
PASSING = frozenset({408, 409, 425, 429})  # and every 5xx: the server's trouble, not the question's
SCHEMA_REFUSED = frozenset({400, 422})  # asked again without one: answers are checked by the caller anyway
NO_KEY = "none"  # servers on this machine want a key, any key


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a server said. `whole` is False where it was cut off; `tokens` is what it counted, in and out."""

    text: str
    tokens: int
    whole: bool


@dataclass(kw_only=True, slots=True)
class ChatService:
    """One model behind one address; safe to ask from several threads.

    `key_env` names the environment variable with the key. A question is sent at most `tries` times.
    `wait_s` is the first and shortest longest wait between two of them.
    """

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    tries: int = 5
    wait_s: float = FIRST_WAIT_S
    _client: Any = field(default=None, init=False, repr=False)
    _takes_schemas: bool = field(default=True, init=False, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def identity(self) -> str:
        """The model's name and the server's address."""
        return f"{self.model} at {self.base_url}"

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Json], *, most_tokens: int) -> Reply:
        """The answer to `messages`, which a server that can holds to the JSON `schema`.

        ServiceDown where it fails for good or again and again, ConfigError where it refuses key, model or
        question, MissingDependency where the client is not installed.
        """
        client = self._connected()
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        for attempt in range(1, self.tries + 1):
            try:
                found = client.chat.completions.create(
                    model=self.model,
                    messages=list(messages),
                    temperature=0.0,
                    max_tokens=most_tokens,
                    **({"response_format": form} if self._takes_schemas else {}),
                )
                return _reply(found)
            except Exception as error:
                why = self._judged(error)
                if attempt == self.tries:
                    raise ServiceDown(f"{self.base_url}: {why}, {attempt} times. Try again later.") from None
                self._wait(attempt, error)
        raise AssertionError("a service is tried at least once")

    def _connected(self) -> Any:
        with self._making:
            if self._client is None:
                self._client = self._made()
        return self._client

    def _made(self) -> Any:
        try:
            from openai import DefaultHttpx2Client, OpenAI
        except ImportError as error:
            raise MissingDependency(
                "asking a server needs the openai package: pip install 'emo-toolkit[services]'"
            ) from error
        return OpenAI(
            base_url=self.base_url,
            api_key=os.environ.get(self.key_env) or NO_KEY,
            max_retries=0,
            timeout=self.timeout_s,
            http_client=DefaultHttpx2Client(follow_redirects=False),
        )

    def _judged(self, error: Exception) -> str:
        """What went wrong, in our words as a server's may hold the key; raises where it will not pass."""
        status = getattr(error, "status_code", None)
        if not isinstance(status, int):
            from openai import APIError

            if not isinstance(error, APIError | ValueError | TypeError | AttributeError | IndexError):
                raise error
            return f"no usable reply ({type(error).__name__})"
        if status in PASSING or status >= 500:
            return f"answered {status}"
        if status in SCHEMA_REFUSED and self._takes_schemas:
            self._takes_schemas = False
            return f"answered {status} to a JSON schema"
        if status in (401, 403):
            raise ConfigError(
                f"{self.base_url}: refused the key ({status}). Set the environment variable {self.key_env}."
            ) from None
        raise ConfigError(
            f"{self.base_url}: refused the question ({status}). Check the model's name and the address."
        ) from None

    def _wait(self, attempt: int, error: Exception) -> None:
        longest = min(LONGEST_WAIT_S, self.wait_s * 2 ** (attempt - 1))
        asked = _retry_after(error)
        time.sleep(min(LONGEST_WAIT_S, asked) if asked is not None else random.uniform(0.0, longest))


def _reply(found: Any) -> Reply:
    choice = found.choices[0]
    text = choice.message.content
    if not isinstance(text, str):
        raise ValueError("an answer without text")
    tokens = getattr(found.usage, "total_tokens", 0) or 0
    return Reply(text=text, tokens=int(tokens), whole=choice.finish_reason != "length")


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, where it does so in numbers."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, TypeError, ValueError):
        return None
