"""What `zdlib predict` reads and writes: pictures with their lenses, videos, depth files, clouds of points."""
