"""What has to be true before the first step and after the last one."""
