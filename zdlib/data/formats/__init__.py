"""Files as they lie on disk: HDF5, MATLAB, pictures, pairs of files. Knows no data set."""
