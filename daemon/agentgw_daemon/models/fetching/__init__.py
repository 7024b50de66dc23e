"""Files of models brought here: from the model hub and the package index, in pieces that survive a cut-off."""
