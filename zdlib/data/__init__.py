"""Pictures with depth: sample types, file formats, one reader for each data set, and their registry."""
