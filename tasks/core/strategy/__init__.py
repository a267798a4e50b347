"""The strategy's rules, written once: regimes, bands, decisions, the universe of stocks."""
