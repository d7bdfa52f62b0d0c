"""One file a noun. A route names the permission it takes, asks a noun module, and shapes the answer."""
