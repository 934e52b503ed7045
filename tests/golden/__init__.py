"""Golden sets: the worked-example device, bit for bit."""
