"""Image encoders: each knows its side lengths' multiple, its mean and its standard deviation."""
