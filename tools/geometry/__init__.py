"""Geometry of boxes, ellipses, polygons, masks and angles: pure functions of arrays, no image, no model.

Coordinates are continuous pixels: x to the right, y down, (0, 0) at the *corner* of the first pixel, a pixel's centre
at +0.5. Whatever depends on lengths takes ``row_mm`` and ``column_mm`` (the steps along y and x) and is computed in
world space; with both at 1 the result is in pixels.
"""
