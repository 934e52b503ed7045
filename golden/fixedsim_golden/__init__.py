"""Golden sets: stimuli, the signals that a device must give for them, and the manifest that names both."""
