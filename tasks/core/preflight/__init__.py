"""What is asked before a run: settings and world, disk, the machine, how training would go."""
