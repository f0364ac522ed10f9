"""The torch modules that ops build; they import nothing but torch, so that exports carry their source."""
