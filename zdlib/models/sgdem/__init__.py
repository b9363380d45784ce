"""SGDepth and SGDEM: one encoder, depth and segmentation decoders, a pose network; depth from video with semantics.

Read `network.py` first; `official_keys.py` reads the authors' state dicts, and monodepth2's.
"""
