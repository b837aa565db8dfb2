"""faster-whisper behind one call: a sound (S,) to the words in it, "" where nobody speaks.

Source: Whisper, arXiv 2212.04356, in CTranslate2 (https://github.com/SYSTRAN/faster-whisper). It invents
words for silence, so three gates stand before its words: the voice detector, the model's own share of
no speech, and no word that it said before is told to it. Knows no clips and no files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.errors import CheckpointError, ConfigError, MissingDependency

NO_SPEECH = 0.6  # share from which on a piece is not speech, whatever words it was given


class FasterWhisper:
    """A model, loaded when made: `model` is a folder in CTranslate2's layout, or a name of faster-whisper's
    (`small`, `large-v3`, a hub id), which it fetches itself.

    `language` is a code such as `zh`; None has it detected in each clip. Greedy on retries too, so the same
    sound has the same words. MissingDependency without the extra, CheckpointError without the model,
    ConfigError for a language that it does not know.
    """

    def __init__(self, model: str, *, language: str | None = None, device: str = "auto") -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise MissingDependency(
                "emo transcribe needs faster-whisper. Run: pip install 'emo-toolkit[asr]'"
            ) from error
        if Path(model).is_dir() and not (Path(model) / "tokenizer.json").is_file():
            raise CheckpointError(
                f"{model} has no tokenizer.json. Convert it again: ct2-transformers-converter --copy_files "
                "tokenizer.json preprocessor_config.json"
            )
        try:
            self._model: Any = WhisperModel(model, device=device)
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"no speech model {model!r}: {str(error).splitlines()[0]} "
                "Name a folder with a converted model, or an id while the hub can be reached."
            ) from error
        known = self._model.supported_languages
        if language is not None and language not in known:
            raise ConfigError(
                f"{model} knows no language {language!r}. It knows: {', '.join(sorted(known))}."
            )
        self._language = language

    def __call__(self, sound: NDArray[np.float32]) -> str:
        """The words in a mono sound (S,) at 16 kHz."""
        pieces, _ = self._model.transcribe(
            sound,
            language=self._language,
            vad_filter=True,
            condition_on_previous_text=False,
            no_speech_threshold=NO_SPEECH,
            temperature=0.0,
        )
        return "".join(piece.text for piece in pieces if piece.no_speech_prob <= NO_SPEECH).strip()
