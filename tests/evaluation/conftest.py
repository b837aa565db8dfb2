"""Where the wheels' vocabulary is, on the machines that have it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "../shared"
WHEELS = SHARED / "data/emotion-wheel"


@pytest.fixture
def wheel_data():
    if not WHEELS.exists():
        pytest.skip("the vocabulary of the emotion wheels is not on this machine")
    return WHEELS
