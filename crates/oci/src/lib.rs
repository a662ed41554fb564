//! OCI digests, references, manifests and the Repository trait over registries and layouts.
