"""Notebook 17: does segmentation in training help depth when frames are few, or ImageNet weights are missing?"""
