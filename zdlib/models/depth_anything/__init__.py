"""Depth Anything V1 and V2: networks, the sizes of their input, and the layouts of their checkpoints.

Read `network.py` first, then `depth_model.py`; `registry.py` has the names.
"""
