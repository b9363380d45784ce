"""From pictures to metres, and from metres to per-image scores. Trains nothing; may use models, metrics and data."""
