//! A real `docker-registry` on a loopback port of its own.
