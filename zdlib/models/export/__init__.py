"""Networks as files that run without this library: ONNX, and what torch.export writes (`zdlib export`).

Read `pictures.py` first: the one function that such a file holds, from pictures to metres.
"""
