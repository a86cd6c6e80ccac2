"""Annotations derived from segmentation masks of a volume, as MedVision's are (arXiv 2511.18676).

Box and ellipse fits slice by slice in three planes, volumes, axes and boxes in space, and distances and angles of
landmarks. Pure functions of (labels, map to the world); ``read`` opens files.
"""
