"""Where conformations come from: readers of file formats, the store, splits, batches of a data set, downloads."""
