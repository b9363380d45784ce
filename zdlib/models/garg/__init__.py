"""Garg et al. 2016: one picture's disparity against a second camera, learnt from pairs; its network, coarse to fine.

Read `network.py` first; `depth_model.py` says how disparity becomes metres.
"""
