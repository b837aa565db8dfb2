"""Settings by which a long video is divided, with their defaults. Knows no room's code."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineConfig:
    """How a video becomes segments: seconds, decibels, shares of a picture."""

    shortest: float = 1.0
    """Seconds that a segment lasts at least; what is shorter goes to a neighbour."""
    longest: float = 10.0
    """Seconds that a segment lasts at most; what is longer is divided evenly."""
    voice_below_peak: float = 25.0
    """Decibels below the loud moments of the video at which a sound begins to count as voice."""
    hysteresis: float = 6.0
    """Decibels that it may fall below that before the voice has ended."""
    above_noise: float = 6.0
    """Decibels above the quiet moments of the video that a voice is at least."""
    shortest_voice: float = 0.2
    """Seconds of sound that are a voice; what is shorter is a knock."""
    shortest_pause: float = 0.3
    """Seconds of quiet that end a voice; what is shorter is between two words."""
    shot_change: float = 0.1
    """How far a picture is from the one before where a shot begins, 0 to 1."""
    shot_stands_out: float = 6.0
    """Times the usual change around it that the change at a new shot is."""
    shortest_shot: float = 0.5
    """Seconds that a shot lasts at least, so that a flash is none."""
    stretch: float = 60.0
    """Seconds of video that are read at once; a run that was stopped goes on at the last one."""
    most_seconds: float = 21_600.0
    """Seconds that a video lasts at most."""

    def mistakes(self) -> list[str]:
        """What is wrong with these settings, one line each."""
        found = []
        if self.shortest < 0.2:
            found.append(f"shortest is {self.shortest:g}, but a segment has 0.2 s at least.")
        if self.longest < 2 * self.shortest:
            found.append(f"longest is {self.longest:g}: give twice the shortest ({self.shortest:g}) or more.")
        if not 0 < self.shot_change <= 1:
            found.append(f"shot_change is {self.shot_change:g}. Give a share above 0 and up to 1.")
        if not 5 <= self.stretch <= 600:
            found.append(f"stretch is {self.stretch:g}. Give 5 to 600 seconds.")
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        below = {name: value for name, value in values.items() if value < 0}
        return [*found, *(f"{name} is {value:g}. Give 0 or more." for name, value in below.items())]


DEFAULTS = TimelineConfig()
