"""Training for photographs: views of a canonical camera, the look of real cameras, and a teacher's depth."""
