//! Roadstead storage.
