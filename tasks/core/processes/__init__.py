"""Child processes that never outlive us, servers among them, and HTTP to servers."""
