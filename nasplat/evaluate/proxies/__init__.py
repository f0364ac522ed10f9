"""Zero-cost proxies: figures of an untrained network that go with how well it will train."""
