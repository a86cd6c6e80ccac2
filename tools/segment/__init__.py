"""Classical segmentation: an outline for a box, cells without a model, a head's ellipse moved to the skull's edge."""
