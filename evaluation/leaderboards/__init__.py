"""Published tables as data, one YAML file each. See `emo.evaluation.leaderboard`."""
