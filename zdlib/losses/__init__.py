"""Training losses: functions of tensors. Knows no network, no data set and no training loop."""
