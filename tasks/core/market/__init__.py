"""Daily KRX parquet: imported, checked, drawn, and made into snapshots of each day."""
