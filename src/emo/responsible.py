"""What people are told before a recording is analysed; docs/responsible-use.md says it in full."""

BEFORE_ANALYSIS = (
    "Labels are perceived expression: what an observer would call a face and a voice, not what one feels.",
    "Not for hiring, appraisal, lie detection, diagnosis, or decisions about people who have not agreed. The "
    "EU prohibits inferring emotions at work and in education (Regulation 2024/1689, Art. 5(1)(f)).",
    "Faces and voices are biometric data. Not legal advice; see docs/responsible-use.md.",
)
