"""The eighth held-out set: published bypasses and advisories of 2024-2026 and inventions beside them, written blind."""
