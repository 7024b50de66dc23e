"""Files of models: the names of split ones, the folder of those that are here, and their examination."""
