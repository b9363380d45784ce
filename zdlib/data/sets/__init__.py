"""One file for each data set: its folders, units and invalid values, and its reader."""
