"""Notebook 12: metric heads compared (ZoeDepth's Table 5 in small), and what their bins do."""
