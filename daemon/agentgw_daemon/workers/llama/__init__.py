"""llama.cpp: bindings, and the look at a model file before it is loaded."""
