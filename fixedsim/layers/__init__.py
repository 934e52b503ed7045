"""Layers: linear, LSTM, bidirectional and embedding, in real numbers and in raws."""
