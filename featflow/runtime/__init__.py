"""How a stage runs: log, device, memory, locks, checkpoints. Nothing here changes a result."""
