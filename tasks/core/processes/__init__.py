"""Child processes that never outlive us, and servers among them."""
