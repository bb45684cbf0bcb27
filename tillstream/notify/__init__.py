"""The notifier: reads notices that jobs wrote at least once, sends each at most once."""
