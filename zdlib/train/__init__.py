"""Training: the loop, its step, states to resume from, and one file for each paper's method. Evaluates nothing."""
