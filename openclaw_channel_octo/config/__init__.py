"""The operator's configuration: model, secret references, loading, redacted report (design §8)."""
