"""Integer layers: the kernels against the specification, and bounds against brute force."""
