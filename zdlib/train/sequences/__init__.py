"""Training sets of stereo pairs and of clips: what methods without depth labels are fed with."""
