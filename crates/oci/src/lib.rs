//! Roadstead oci.
