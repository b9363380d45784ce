"""Depth without depth labels: the trainings of profiles `stereo` and `video`, their scores, and what notebooks show."""
