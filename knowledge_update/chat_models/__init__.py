"""Chat models that write: one protocol, the endpoints behind it, and the window their requests share."""
