"""The engine: notebooks as steps of a graph, what makes them stale, and where results come from."""
