"""Conformance suites that ship with the library: a part of your own inherits the tests of its kind."""
