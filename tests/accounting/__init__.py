"""What a network costs: its blocks of memory."""
