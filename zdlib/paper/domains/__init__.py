"""The study of rooms and roads (notebook 13): its jobs, their statistics, its pictures."""
